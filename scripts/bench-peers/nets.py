"""Networks from vov's config files, written anew: a list of nodes, numbers for their weights.

A node is an operation on the outputs of others; its name is that of vov's tensor, so that one file
of weights fits both. Only the sections that the networks of the comparison have are known here.
"""
import math

import numpy as np

EPS = 1e-5


class Node:
    """op: conv deconv norm act maxpool avgpool mean connected concat add upsample softmax."""

    def __init__(self, op, name, inputs, shape, **attr):
        self.op, self.name, self.inputs, self.shape = op, name, inputs, shape
        self.__dict__.update(attr)
        self.attr = attr


class Net:
    """nodes in running order; node 0 is the input. p: weights by name, float32."""

    def __init__(self, size, channels=3):
        self.nodes = [Node("input", "input", [], (channels, size, size))]
        self.p = {}
        self.outputs = []
        self.rng = np.random.default_rng(7)

    def add(self, op, name, inputs, shape, **attr):
        self.nodes.append(Node(op, name, inputs, shape, **attr))
        return len(self.nodes) - 1

    def shape(self, i):
        return self.nodes[i].shape

    def random(self, name, *shape, mean=0.0, deviation=1.0):
        self.p[name] = (mean + deviation * self.rng.standard_normal(shape)).astype(np.float32)

    def uniform(self, name, n, low, high):
        self.p[name] = self.rng.uniform(low, high, n).astype(np.float32)

    def conv(self, name, x, out, k=1, stride=1, pad=None, bias=False, gain=1.0):
        c, h, w = self.shape(x)
        pad = k // 2 if pad is None else pad
        side = lambda n: (n + 2 * pad - k) // stride + 1
        self.random(name + "/weight", out, c, k, k, deviation=gain * math.sqrt(2 / (c * k * k)))
        if bias:
            self.random(name + "/bias", out, deviation=0.1)
        return self.add("conv", name, [x], (out, side(h), side(w)), k=k, stride=stride, pad=pad,
                        bias=bias)

    def deconv(self, name, x, out):
        c, h, w = self.shape(x)
        self.random(name + "/weight", c, out, 2, 2, deviation=math.sqrt(1 / c))
        return self.add("deconv", name, [x], (out, 2 * h, 2 * w))

    def norm(self, name, x, gamma=1.0):
        c = self.shape(x)[0]
        self.uniform(name + "/gamma", c, 0.8 * gamma, 1.2 * gamma)
        self.random(name + "/beta", c, deviation=0.1)
        self.random(name + "/mean", c, deviation=0.1)
        self.uniform(name + "/var", c, 0.8, 1.2)
        return self.add("norm", name, [x], self.shape(x))

    def act(self, kind, x):
        if kind == "linear":
            return x
        return self.add("act", f"act{len(self.nodes)}", [x], self.shape(x), kind=kind)

    def conv_norm(self, name, x, out, k=1, stride=1, act="relu", gamma=1.0):
        return self.act(act, self.norm(name + "/norm", self.conv(name, x, out, k, stride), gamma))

    def pool(self, op, name, x, k, stride, pad=0, ceil=False):
        """pad: of both sides together, the smaller half first."""
        c, h, w = self.shape(x)
        side = lambda n: (-(-(n + pad - k) // stride) if ceil else (n + pad - k) // stride) + 1
        return self.add(op, name, [x], (c, side(h), side(w)), k=k, stride=stride,
                        pad=(pad // 2, pad - pad // 2), ceil=ceil)

    def concat(self, name, xs):
        c = sum(self.shape(x)[0] for x in xs)
        return self.add("concat", name, list(xs), (c, *self.shape(xs[0])[1:]))

    def params(self):
        return sum(v.size for k, v in self.p.items() if not k.endswith(("/mean", "/var")))


def read_cfg(text):
    sections = []
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("["):
            sections.append((line[1:-1], {}))
        elif line:
            key, value = line.split("=", 1)
            sections[-1][1][key.strip()] = value.strip()
    return sections


class Section:
    """Builds one section: keys with defaults, names, and the sections before."""

    def __init__(self, net, name, keys, x):
        self.net, self.name, self.keys, self.x = net, name, keys, x

    def get(self, key, default=None):
        value = self.keys.get(key, default)
        return type(default)(value) if default is not None else value

    def ints(self, key, default=""):
        return [int(v) for v in self.keys.get(key, default).split(",")]

    def convolutional(self):
        out, k, stride = self.get("filters", 1), self.get("size", 1), self.get("stride", 1)
        act = self.get("activation", "logistic")
        if self.get("batch_normalize", 0):
            return self.net.conv_norm(self.name, self.x, out, k, stride, act)
        pad = k // 2 if self.get("pad", 0) else 0
        y = self.net.conv(self.name, self.x, out, k, stride, pad, bias=bool(self.get("bias", 1)))
        return self.net.act(act, y)

    def maxpool(self):
        k = self.get("size", 0)
        return self.net.pool("maxpool", self.name, self.x, k, self.get("stride", 1),
                             self.get("padding", k - 1), bool(self.get("ceil", 0)))

    def global_avgpool(self):
        return self.net.add("mean", self.name, [self.x], (self.net.shape(self.x)[0], 1, 1))

    def connected(self):
        c, classes = self.net.shape(self.x)[0], self.get("output", self.get("classes", 0))
        self.net.random(self.name + "/weight", classes, c, deviation=math.sqrt(1 / c))
        self.net.random(self.name + "/bias", classes, deviation=0.1)
        return self.net.add("connected", self.name, [self.x], (classes, 1, 1))

    def softmax(self):
        return self.net.add("softmax", self.name, [self.x], self.net.shape(self.x))

    def batchnorm(self):
        return self.net.act(self.get("activation", "linear"),
                            self.net.norm(self.name, self.x))

    def upsample(self):
        c, h, w = self.net.shape(self.x)
        s = self.get("stride", 2)
        return self.net.add("upsample", self.name, [self.x], (c, s * h, s * w), scale=s)

    def stem(self):
        y = self.x
        strides = self.ints("strides", "2,1,1")
        for i, (c, stride) in enumerate(zip(self.ints("channels"), strides)):
            y = self.net.conv_norm(f"{self.name}/conv{i + 1}", y, c, 3, stride)
        return y

    def osa(self):
        y, repeat = self.x, self.get("repeat", 1)
        for block in range(repeat):
            at = f"{self.name}/osa{block + 1}" if repeat > 1 else self.name
            parts = [y]
            for i in range(self.get("layers", 5)):
                parts.append(self.net.conv_norm(f"{at}/conv{i + 1}", parts[-1],
                                                self.get("width", 0), 3))
            y = self.net.concat(at + "/concat", parts)
            y = self.net.conv_norm(at + "/mix", y, self.get("out", 0))
        return y

    def dense(self):
        y, growth = self.x, self.get("growth", 0)
        squeeze = round(self.get("bottleneck", 4.0) * growth)
        for i in range(self.get("layers", 0)):
            at, part = f"{self.name}/layer{i + 1}", y
            for name, out, k in (("squeeze", squeeze, 1), ("conv", growth, 3)):
                if out > 0:
                    part = self.net.act("relu", self.net.norm(f"{at}/{name}/norm", part))
                    part = self.net.conv(f"{at}/{name}", part, out, k)
            y = self.net.concat(at + "/concat", [y, part])
        return y

    def transition(self):
        out = int(self.get("reduction", 0.5) * self.net.shape(self.x)[0])
        y = self.net.act("relu", self.net.norm(self.name + "/norm", self.x))
        y = self.net.conv(self.name + "/conv", y, out)
        return self.net.pool("avgpool", self.name + "/pool", y, 2, 2)

    def residual(self, at, x, width, out, stride=1, on_1x1=False, project=False):
        side = x
        if project or stride != 1 or self.net.shape(x)[0] != out:
            side = self.net.conv_norm(at + "/project", x, out, 1, stride, "linear")
        y = self.net.conv_norm(at + "/conv1", x, width, 1, stride if on_1x1 else 1)
        y = self.net.conv_norm(at + "/conv2", y, width, 3, 1 if on_1x1 else stride)
        y = self.net.conv_norm(at + "/conv3", y, out, act="linear", gamma=0.2)
        return self.net.act("relu", self.net.add("add", at + "/add", [y, side],
                                                 self.net.shape(y)))

    def bottleneck(self):
        y, width, stride = self.x, self.get("width", 0), self.get("stride", 1)
        for i in range(self.get("repeat", 1)):
            y = self.residual(f"{self.name}/block{i + 1}", y, width,
                              self.get("out", 4 * width), stride,
                              self.get("stride_on", "3x3") == "1x1")
            stride = 1
        return y

    def tcb(self, top):
        c = self.get("channels", 256)
        y = self.net.conv_norm(self.name + "/conv1", self.x, c, 3)
        y = self.net.conv_norm(self.name + "/conv2", y, c, 3, act="linear" if top else "relu")
        if top:
            up = self.net.norm(self.name + "/up/norm",
                               self.net.deconv(self.name + "/up", top, c))
            y = self.net.act("relu", self.net.add("add", self.name + "/add", [y, up],
                                                  self.net.shape(y)))
        return self.net.conv_norm(self.name + "/out", y, c, 3)

    def refinedet(self, arm, odm):
        """Gives the maps of arm_loc, arm_conf, odm_loc, odm_conf, level by level."""
        classes, n = self.get("classes", 0), len(self.get("ratios", "1, 2, 0.5").split(","))
        outputs = []
        for module, levels, values in (("arm", arm, (("loc", 4), ("conf", 2))),
                                       ("odm", odm, (("loc", 4), ("conf", classes + 1)))):
            if self.get("inter", 0):
                levels = [self.residual(f"{self.name}/{module}_inter{i + 1}", x, 256, 1024,
                                        project=True) for i, x in enumerate(levels)]
            for what, v in values:
                # Small weights: pixels come as 0 to 255, and few things should be found.
                outputs += [self.net.conv(f"{self.name}/{module}_{what}{i + 1}", x, n * v, 3,
                                          bias=True, gain=1 / 200) for i, x in enumerate(levels)]
        return outputs


def build(cfg, size=None):
    """The network of a config's text, of another size of input where one is given."""
    sections = read_cfg(cfg)
    head = sections[0][1]
    net = Net(size or int(head["width"]), int(head.get("channels", 3)))
    outs, names, count, x = [], {}, {}, 0
    for kind, keys in sections[1:]:
        count[kind] = count.get(kind, 0) + 1
        name = keys.get("name", f"{kind}{count[kind]}")
        find = lambda ref: names[ref] if ref in names else \
            outs[int(ref) + (len(outs) if int(ref) < 0 else 0)]
        find_all = lambda key: [find(ref.strip()) for ref in keys[key].split(",")]
        if "from" in keys and kind != "route":
            x = find(keys["from"])
        section = Section(net, name, {"classes": head.get("classes", 0), **keys}, x)
        if kind == "route":
            xs = find_all("layers" if "layers" in keys else "from")
            x = xs[0] if len(xs) == 1 else net.concat(name, xs)
        elif kind == "tcb":
            x = section.tcb(find(keys["top"]) if "top" in keys else None)
        elif kind == "refinedet":
            net.outputs = section.refinedet(find_all("arm"), find_all("odm"))
        else:
            x = getattr(section, kind)()
        outs.append(x)
        names[name] = x
    net.outputs = net.outputs or [x]
    return net


def fold(net):
    """The same network with every norm that follows a convolution folded into it."""
    users = [0] * len(net.nodes)
    for node in net.nodes:
        for i in node.inputs:
            users[i] += 1
    new, place = Net(1), {0: 0}
    new.nodes, new.p = [net.nodes[0]], dict(net.p)
    for i, node in enumerate(net.nodes[1:], 1):
        before = net.nodes[node.inputs[0]]
        if node.op == "norm" and before.op in ("conv", "deconv") and users[node.inputs[0]] == 1:
            gamma, beta, mean, var = (new.p.pop(f"{node.name}/{k}")
                                      for k in ("gamma", "beta", "mean", "var"))
            scale = gamma / np.sqrt(var + np.float32(EPS))
            w = before.name + "/weight"
            new.p[w] = new.p[w] * (scale[:, None, None, None] if before.op == "conv"
                                   else scale[None, :, None, None])
            new.p[before.name + "/bias"] = (new.p.get(before.name + "/bias", 0) - mean) * scale + \
                beta
            place[i] = place[node.inputs[0]]
            new.nodes[place[i]].attr["bias"] = new.nodes[place[i]].bias = True
            continue
        inputs = [place[k] for k in node.inputs]
        place[i] = new.add(node.op, node.name, inputs, node.shape, **node.attr)
    new.outputs = [place[k] for k in net.outputs]
    return new
