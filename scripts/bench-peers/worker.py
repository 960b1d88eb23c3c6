"""One peer in a process of its own: worker.py PEER KIND NET SIZE BATCH THREADS.

Reads commands, one JSON a line, and answers in the same way: {"do": "modes"} names the ways in which
the peer can run; {"do": "output", "mode": M, "n": N} runs once and runs N times and gives what came out; {"do":
"time", "mode": M, "n": N} gives the milliseconds of N runs, and what part of that time
threads waited for a processor. {"do": "peak"} gives the most memory, MiB,
that the process ever had; before all answers comes what it had with the library loaded, but without
a network. Waiting costs no processor time.
"""
import importlib
import json
import os
import sys
import time

import numpy as np

import files


class Vov:
    """libvov through vov.h: one call of vov_run, input set before."""

    module = "ctypes"

    def __init__(self, name, size, batch, threads):
        import ctypes as c

        class Error(c.Structure):
            _fields_ = [("code", c.c_int), ("line", c.c_int), ("column", c.c_int),
                        ("file", c.c_char * 200), ("text", c.c_char * 400)]

        class Options(c.Structure):
            _fields_ = [("size", c.c_size_t), ("device", c.c_char_p), ("batch", c.c_int),
                        ("threads", c.c_int), ("log", c.c_void_p), ("user", c.c_void_p)]

        self.c, self.error = c, Error()
        lib = os.environ.get("VOV_LIB", os.path.join(files.ROOT, "build", "release", "libvov.so"))
        self.lib, self.model = c.CDLL(lib), c.c_void_p()
        options = Options(c.sizeof(Options), b"cpu", batch, threads)
        self.check(self.lib.vov_open(
            c.byref(self.model), files.path(name, size, ".cfg").encode(),
            files.path(name, size, ".safetensors").encode(), c.byref(options),
            c.byref(self.error)))
        x = files.picture(name, size, batch)
        self.shape = c.c_int * 4
        self.check(self.lib.vov_set_input(self.model, None, x.ctypes.data_as(c.c_void_p),
                                          self.shape(*x.shape), c.byref(self.error)))
        self.modes = {"": self.run}

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.error.text.decode())

    def run(self):
        self.check(self.lib.vov_run(self.model, self.c.byref(self.error)))

    def output(self):
        data, shape = self.c.POINTER(self.c.c_float)(), self.shape()
        self.check(self.lib.vov_get_output(self.model, None, self.c.byref(data), shape,
                                           self.c.byref(self.error)))
        return np.ctypeslib.as_array(data, tuple(shape)).copy()


class Ncnn:
    """Defaults, which choose Winograd, packed layouts and sgemm by themselves; fp32 only. A batch
    is its pictures one after another, since ncnn has no batch."""

    module = "ncnn"

    def __init__(self, name, size, batch, threads):
        import ncnn
        self.net = ncnn.Net()
        o = self.net.opt
        o.num_threads = threads
        o.use_vulkan_compute = False
        o.use_fp16_packed = o.use_fp16_storage = o.use_fp16_arithmetic = False
        o.use_bf16_storage = False
        o.use_int8_inference = False
        if hasattr(o, "use_bf16_packed"):
            o.use_bf16_packed = False
        ncnn.set_cpu_powersave(0)
        ncnn.set_omp_num_threads(threads)
        self.net.load_param(files.path(name, size, ".ncnn.param"))
        self.net.load_model(files.path(name, size, ".ncnn.bin"))
        self.x = files.picture(name, size, batch)  # the Mats only point there
        self.inputs = [ncnn.Mat(x) for x in self.x]
        self.names = self.net.input_names()[0], self.net.output_names()
        self.modes = {"": self.run}

    def run(self):
        self.y = []
        for x in self.inputs:
            ex = self.net.create_extractor()
            ex.input(self.names[0], x)
            self.y.append([ex.extract(n)[1] for n in self.names[1]])

    def output(self):
        return np.stack([np.array(y[0]) for y in self.y])


class OnnxRuntime:
    module = "onnxruntime"

    def __init__(self, name, size, batch, threads):
        import onnxruntime as ort
        o = ort.SessionOptions()
        o.intra_op_num_threads, o.inter_op_num_threads = threads, 1
        o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = ort.InferenceSession(files.path(name, size, f"-b{batch}.onnx"), o,
                                            providers=["CPUExecutionProvider"])
        self.feed = {"t0": files.picture(name, size, batch)}
        self.modes = {"": self.run}

    def run(self):
        self.y = self.session.run(None, self.feed)

    def output(self):
        return self.y[0]


class OpenVino:
    module = "openvino"

    def __init__(self, name, size, batch, threads):
        import openvino as ov
        core = ov.Core()
        model = core.read_model(files.path(name, size, f"-b{batch}.onnx"))
        self.compiled = core.compile_model(model, "CPU", {
            "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32"})
        self.request = self.compiled.create_infer_request()
        self.x = files.picture(name, size, batch)
        self.request.set_input_tensor(ov.Tensor(self.x, shared_memory=True))
        self.modes = {"": self.run}

    def run(self):
        self.request.infer()

    def output(self):
        return self.request.get_output_tensor(0).data.copy()


class OpenCv:
    module = "cv2"

    def __init__(self, name, size, batch, threads):
        import cv2
        cv2.setNumThreads(threads)
        self.net = cv2.dnn.readNetFromONNX(files.path(name, size, f"-b{batch}.onnx"))
        self.x = files.picture(name, size, batch)
        self.modes = {"": self.run}

    def run(self):
        self.net.setInput(self.x)
        self.y = self.net.forward()

    def output(self):
        return self.y


class Torch:
    """Norms folded; eager in both layouts, frozen TorchScript (oneDNN's own layout), and
    torch.compile with the inductor's freezing."""

    module = "torch"

    def __init__(self, name, size, batch, threads):
        import torch
        self.torch = torch
        torch.set_num_threads(threads)
        import nets
        self.net = nets.fold(files.load(name, size))
        self.x = torch.from_numpy(files.picture(name, size, batch))
        self.modes = {m: lambda m=m: self.first(m)
                      for m in ("eager", "channels_last", "jit", "compile")}

    def first(self, mode):
        """A mode is made when it is first used."""
        self.modes[mode] = self.make(mode)
        self.modes[mode]()

    def make(self, mode):
        torch = self.torch
        module, x = files.torch_module(self.net).eval(), self.x
        if mode in ("channels_last", "compile"):
            module = module.to(memory_format=torch.channels_last)
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            if mode == "jit":
                module = torch.jit.optimize_for_inference(
                    torch.jit.freeze(torch.jit.trace(module, x, check_trace=False)))
            if mode == "compile":
                import torch._inductor.config as config
                config.freezing = True
                config.max_autotune = False
                module = torch.compile(module)

        def run():
            with torch.inference_mode() if mode != "compile" else torch.no_grad():
                self.y = module(x)
        return run

    def output(self):
        y = self.y if not isinstance(self.y, tuple) else self.y[0]
        return y.contiguous().numpy()


RATE, MOMENTUM, DECAY = 1e-3, 0.9, 1e-4


class VovTrain:
    """The trainer's own step, through step.c. Gives the loss as its output."""

    module = "ctypes"

    def __init__(self, name, size, batch, threads):
        import ctypes as c
        lib = c.CDLL(os.environ.get("VOV_STEP", files.STEP))
        lib.step_open.restype = lib.step_run.restype = c.c_char_p
        self.x, labels = files.picture(name, size, batch), files.labels(name, size, batch)
        self.labels = labels.astype(np.float32)
        error = lib.step_open(
            files.path(name, size, ".cfg").encode(), files.path(name, size, ".safetensors").encode(),
            batch, threads, self.x.ctypes.data_as(c.c_void_p),
            self.labels.ctypes.data_as(c.c_void_p))
        if error:
            raise RuntimeError(error.decode())
        loss, self.losses = c.c_float(), []

        def run():
            error = lib.step_run(c.c_double(RATE), c.byref(loss))
            if error:
                raise RuntimeError(error.decode())
            self.losses.append(loss.value)
        self.modes = {"": run}

    def output(self):
        return self.losses[:2]


class TorchTrain:
    """SGD with momentum and weight decay, cross-entropy; eager in both layouts, and compiled."""

    module = "torch"

    def __init__(self, name, size, batch, threads):
        import torch
        self.torch = torch
        torch.set_num_threads(threads)
        self.net, self.losses = files.load(name, size), {}
        self.x = torch.from_numpy(files.picture(name, size, batch))
        self.labels = torch.from_numpy(files.labels(name, size, batch))
        self.modes = {m: lambda m=m: self.first(m) for m in ("eager", "channels_last", "compile")}

    def first(self, mode):
        self.modes[mode] = self.make(mode)
        self.modes[mode]()

    def make(self, mode):
        torch = self.torch
        module, x = files.torch_module(self.net, training=True).train(), self.x
        if mode != "eager":
            module = module.to(memory_format=torch.channels_last)
            x = x.contiguous(memory_format=torch.channels_last)
        weights = [p for n, p in module.named_parameters() if p.dim() > 1]
        others = [p for n, p in module.named_parameters() if p.dim() == 1]
        sgd = torch.optim.SGD([{"params": weights, "weight_decay": DECAY}, {"params": others}],
                              lr=RATE, momentum=MOMENTUM)
        compiled = torch.compile(module) if mode == "compile" else module
        self.losses = []

        def run():
            sgd.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(compiled(x), self.labels)
            loss.backward()
            sgd.step()
            self.losses.append(loss.item())
        return run

    def output(self):
        return self.losses[:2]


PEERS = {("infer", "vov"): Vov, ("infer", "ncnn"): Ncnn, ("infer", "onnxruntime"): OnnxRuntime,
         ("infer", "openvino"): OpenVino, ("infer", "opencv"): OpenCv, ("infer", "torch"): Torch,
         ("train", "vov"): VovTrain, ("train", "torch"): TorchTrain}


def go_first(pid):
    """Lets a process that leads its session run before other work, where that is allowed."""
    try:
        os.setpriority(os.PRIO_PROCESS, pid, -20)
        with open(f"/proc/{pid}/autogroup", "w", encoding="utf-8") as f:  # the session's own nice
            f.write("-20")
    except OSError:
        pass


def pin(threads):
    """All threads to one processor, or to as many as there are threads."""
    cpus = {1} if threads == 1 and os.cpu_count() > 1 else set(range(threads))
    for task in map(int, os.listdir("/proc/self/task")):
        os.sched_setaffinity(task, cpus)
    return True


def waited():
    """Seconds for which threads could have run, but others had the processor."""
    total = 0
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/schedstat", encoding="utf-8") as f:
            total += int(f.read().split()[1])
    return total / 1e9


def resident(key):
    """VmRSS or VmHWM, MiB."""
    with open("/proc/self/status", encoding="utf-8") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(key)) / 1024


def answer(peer, command, threads):
    if command["do"] == "modes":
        return list(peer.modes)
    if command["do"] == "pin":
        return pin(threads)
    if command["do"] == "peak":
        return resident("VmHWM")
    run = peer.modes[command["mode"]]
    if command["do"] == "output":
        for _ in range(command["n"]):
            peer.modes[command["mode"]]()
        y = np.asarray(peer.output(), np.float64).ravel()
        return [float(f"{v:.7g}") for v in y[:: max(1, y.size // 1000)]]
    ms, before = [], waited()
    for _ in range(command["n"]):
        start = time.perf_counter()
        run()
        ms.append(1000 * (time.perf_counter() - start))
    return {"ms": ms, "waited": (waited() - before) / (sum(ms) / 1000)}


def main():
    threads = int(sys.argv[6])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer
    if os.environ.get("BENCH_FIRST"):
        go_first(os.getpid())
    peer = PEERS[sys.argv[2].removeprefix("memory-"), sys.argv[1]]
    importlib.import_module(peer.module)
    base = resident("VmRSS")
    peer = peer(sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), threads)
    print(json.dumps(base), file=out, flush=True)
    for line in sys.stdin:
        try:
            reply = answer(peer, json.loads(line), threads)
        except Exception as e:  # a mode that fails is reported, the others go on
            reply = {"error": f"{type(e).__name__}: {e}"[:300]}
        print(json.dumps(reply), file=out, flush=True)


if __name__ == "__main__":
    main()
