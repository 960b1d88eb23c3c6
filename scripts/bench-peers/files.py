"""One network in every peer's form: safetensors for vov, ONNX, ncnn's param and bin, a PyTorch
module. All but the first two rest on the folded network (nets.fold); training does not."""
import json
import os
import struct
import subprocess
import sys

import numpy as np

import nets

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
OUT = os.path.join(ROOT, "build", "bench-peers")
HERE = os.path.join("scripts", "bench-peers")
CFG = {
    "vovnet27s": "cfg/backbone/vovnet27s.cfg",
    "vovnet39": "cfg/backbone/vovnet39.cfg",
    "vovnet57": "cfg/backbone/vovnet57.cfg",
    "resnet50": "cfg/backbone/resnet50.cfg",
    "densenet121": "cfg/backbone/densenet121.cfg",
    "densenet40": "cfg/cifar/densenet40.cfg",
    "yolov3-tiny": HERE + "/yolov3-tiny.cfg",
    "refinedet320-vovnet39": "cfg/detect/refinedet320-vovnet39.cfg",
}
LEAK = 0.1
STEP = os.path.join(OUT, "step.so")


def load(name, size):
    with open(os.path.join(ROOT, CFG[name]), encoding="utf-8") as f:
        return nets.build(f.read(), size)


def path(name, size, kind):
    return os.path.join(OUT, "models", f"{name}-{size}{kind}")


def picture(name, size, batch):
    """The input of a row: the same numbers for every peer."""
    rng = np.random.default_rng(11)
    return rng.standard_normal((batch, 3, size, size)).astype(np.float32)


def write_pictures(paths):
    """JPEGs of 640x480 at quality 90, about as large as a camera's: clouds of several sizes."""
    import cv2
    for i, to in enumerate(paths):
        rng = np.random.default_rng(17 + i)
        picture = np.zeros((480, 640, 3), np.float32)
        for scale in (4, 16, 64, 256):
            noise = rng.uniform(-1, 1, (3 * scale // 4, scale, 3)).astype(np.float32)
            picture += cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC) * 40
        picture += rng.standard_normal(picture.shape).astype(np.float32) * 3
        cv2.imwrite(to, np.clip(picture + 128, 0, 255).astype(np.uint8),
                    [cv2.IMWRITE_JPEG_QUALITY, 90])


def labels(name, size, batch):
    return np.random.default_rng(13).integers(0, 10, batch)


def build_step():
    """step.c against the library that was last built."""
    source, lib = os.path.join(ROOT, HERE, "step.c"), os.path.join(ROOT, "build", "release",
                                                                   "libvovall.a")
    packages = "libpng libjpeg libcjson expat"
    flags = subprocess.run(["pkg-config", "--cflags", "--libs"] + packages.split(), check=True,
                           capture_output=True, text=True).stdout.split()
    subprocess.run([os.environ.get("CC", "gcc"), "-std=gnu17", "-O2", "-Wall", "-Werror", "-fPIC",
                    "-shared", "-fvisibility=hidden", "-I" + os.path.join(ROOT, "src"), "-o", STEP,
                    source, lib] + flags + ["-lm", "-pthread"], check=True)


def write_safetensors(net, to):
    header, at = {}, 0
    for name, v in net.p.items():
        header[name] = {"dtype": "F32", "shape": list(v.shape), "data_offsets": [at, at + v.nbytes]}
        at += v.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(to, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for v in net.p.values():
            f.write(v.tobytes())


def write_cfg(name, size, to):
    """The config with another size of input; width and height in other sections stay."""
    with open(os.path.join(ROOT, CFG[name]), encoding="utf-8") as f:
        lines = f.read().splitlines()
    first = lines.index("[net]") + 1
    for i in range(first, len(lines)):
        key = lines[i].split("=")[0].strip()
        if key.startswith("["):
            break
        if key in ("width", "height"):
            lines[i] = f"{key} = {size}"
    with open(to, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


def onnx_node(node, x, y, helper):
    """The ONNX nodes of one node; weights go by the names of net.p."""
    make = helper.make_node
    w = [f"{node.name}/weight", f"{node.name}/bias"]
    if node.op == "conv":
        return [make("Conv", x + w[:1 + node.bias], y, kernel_shape=[node.k] * 2,
                     strides=[node.stride] * 2, pads=[node.pad] * 4)]
    if node.op == "deconv":
        return [make("ConvTranspose", x + w, y, kernel_shape=[2, 2], strides=[2, 2])]
    if node.op == "norm":
        return [make("BatchNormalization",
                     x + [f"{node.name}/{k}" for k in ("gamma", "beta", "mean", "var")], y,
                     epsilon=nets.EPS)]
    if node.op == "act":
        return [make("Relu", x, y) if node.kind == "relu" else make("LeakyRelu", x, y, alpha=LEAK)]
    if node.op in ("maxpool", "avgpool"):
        lo, hi = node.pad
        return [make("MaxPool" if node.op == "maxpool" else "AveragePool", x, y,
                     kernel_shape=[node.k] * 2, strides=[node.stride] * 2, pads=[lo, lo, hi, hi],
                     ceil_mode=int(node.ceil))]
    if node.op == "connected":
        flat = node.name + "/flat"
        return [make("Flatten", x, [flat], axis=1), make("Gemm", [flat] + w, y, transB=1)]
    if node.op == "upsample":
        return [make("Resize", x + ["", "scales"], y, mode="nearest",
                     coordinate_transformation_mode="asymmetric", nearest_mode="floor")]
    simple = {"mean": "GlobalAveragePool", "add": "Add"}
    if node.op in simple:
        return [make(simple[node.op], x, y)]
    return [make("Concat" if node.op == "concat" else "Softmax", x, y, axis=1)]


def write_onnx(net, batch, to):
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    nodes = []
    for i, node in enumerate(net.nodes[1:], 1):
        nodes += onnx_node(node, [f"t{k}" for k in node.inputs], [f"t{i}"], helper)
    def info(i):
        s = net.nodes[i].shape
        flat = net.nodes[i].op in ("connected", "softmax")
        return helper.make_tensor_value_info(f"t{i}", TensorProto.FLOAT,
                                             [batch, s[0]] if flat else [batch, *s])
    weights = [numpy_helper.from_array(v, k) for k, v in net.p.items()]
    if any(n.op == "upsample" for n in net.nodes):
        weights.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"))
    graph = helper.make_graph(nodes, "net", [info(0)], [info(i) for i in net.outputs], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, to)


def torch_module(net, training=False):
    """The network as an nn.Module. In training the softmax is left to the loss."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    def layer(node):
        part = lambda k: torch.from_numpy(net.p[f"{node.name}/{k}"].copy())
        c = net.nodes[node.inputs[0]].shape[0]
        if node.op == "conv":
            m = nn.Conv2d(c, node.shape[0], node.k, node.stride, node.pad, bias=node.bias)
        elif node.op == "deconv":
            m = nn.ConvTranspose2d(c, node.shape[0], 2, 2, bias=node.attr.get("bias", False))
        elif node.op == "connected":
            m = nn.Linear(c, node.shape[0])
        elif node.op == "norm":
            m = nn.BatchNorm2d(c, eps=nets.EPS)
            m.weight.data, m.bias.data = part("gamma"), part("beta")
            m.running_mean, m.running_var = part("mean"), part("var")
            return m
        elif node.op == "maxpool":
            lo, hi = node.pad
            pool = nn.MaxPool2d(node.k, node.stride, lo, ceil_mode=node.ceil)
            return pool if lo == hi else nn.Sequential(
                nn.ConstantPad2d((0, hi, 0, hi), -1e30), pool)
        elif node.op == "avgpool":
            return nn.AvgPool2d(node.k, node.stride)
        elif node.op == "act":
            return nn.ReLU(inplace=True) if node.kind == "relu" else nn.LeakyReLU(LEAK, True)
        else:
            return nn.Identity()
        m.weight.data = part("weight")
        if m.bias is not None:
            m.bias.data = part("bias")
        return m

    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(layer(n) for n in net.nodes[1:])

        def forward(self, x):
            t = [x]
            for node, m in zip(net.nodes[1:], self.layers):
                x = t[node.inputs[0]]
                if node.op == "concat":
                    y = torch.cat([t[k] for k in node.inputs], 1)
                elif node.op == "add":
                    y = x + t[node.inputs[1]]
                elif node.op == "mean":
                    y = F.adaptive_avg_pool2d(x, 1)
                elif node.op == "connected":
                    y = m(torch.flatten(x, 1))
                elif node.op == "upsample":
                    y = F.interpolate(x, scale_factor=float(node.scale), mode="nearest")
                elif node.op == "softmax":
                    y = x if training else torch.softmax(x, 1)
                else:
                    y = m(x)
                t.append(y)
            out = [t[k] for k in net.outputs]
            return out[0] if len(out) == 1 else tuple(out)

    return Module()


def write_ncnn(net, to):
    """ncnn's param and bin, by pnnx from a trace, as ncnn's authors advise."""
    import torch
    module = torch_module(net).eval()
    example = torch.zeros(1, *net.nodes[0].shape)
    with torch.no_grad():
        torch.jit.trace(module, example, check_trace=False).save(to + ".pt")
    pnnx = os.path.join(os.path.dirname(sys.executable), "pnnx")
    subprocess.run([pnnx, to + ".pt", f"inputshape=[1,{','.join(map(str, net.nodes[0].shape))}]",
                    "fp16=0", "optlevel=2", f"ncnnparam={to}.ncnn.param", f"ncnnbin={to}.ncnn.bin",
                    f"ncnnpy={to}.ncnn.py", f"pnnxparam={to}.pnnx.param", f"pnnxbin={to}.pnnx.bin",
                    f"pnnxpy={to}.pnnx.py", f"pnnxonnx={to}.pnnx.onnx"],
                   check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, cwd=os.path.dirname(to))


def prepare(kind, name, size, batch):
    """Everything that the peers need of one network, where it is not there yet."""
    os.makedirs(os.path.join(OUT, "models"), exist_ok=True)
    net = load(name, size)
    at = lambda kind: path(name, size, kind)
    if not os.path.exists(at(".safetensors")):
        write_safetensors(net, at(".safetensors"))
        write_cfg(name, size, at(".cfg"))
    if kind in ("train", "memory-train"):
        build_step()
        return
    folded = nets.fold(net)
    if not os.path.exists(at(f"-b{batch}.onnx")):
        write_onnx(folded, batch, at(f"-b{batch}.onnx"))
    if not os.path.exists(at(".ncnn.param")):
        write_ncnn(folded, at(""))
