"""From nothing to the first detections: start.py PEER NET SIZE PICTURE, a program as a user of ncnn
or PyTorch would write it; prints how many things it found and the best of them. The network is
RefineDet, whose decoder (Zhang et al. 2018) is written here with numpy."""
import os
import sys

import numpy as np

VARIANCE, ARM_THRESH, THRESH, NMS = np.array([0.1, 0.1, 0.2, 0.2], np.float32), 0.01, 0.3, 0.45
MEAN = (104.0, 117.0, 123.0)  # blue, green, red, as in the config
MODELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build",
                      "bench-peers", "models")


def read(picture, size):
    import cv2
    return cv2.dnn.blobFromImage(cv2.imread(picture), 1.0, (size, size), MEAN)


def run_ncnn(name, size, x):
    import ncnn
    net = ncnn.Net()
    net.opt.num_threads = 2
    at = os.path.join(MODELS, f"{name}-{size}.ncnn")
    net.load_param(at + ".param")
    net.load_model(at + ".bin")
    ex = net.create_extractor()
    ex.input(net.input_names()[0], ncnn.Mat(x[0]))
    return [np.array(ex.extract(n)[1]) for n in net.output_names()]


def run_torch(name, size, x):
    import torch
    torch.set_num_threads(2)
    module = torch.jit.load(os.path.join(MODELS, f"{name}-{size}.pt"))
    with torch.inference_mode():
        return [y[0].numpy() for y in module(torch.from_numpy(x))]


def priors(maps, size):
    rows = []
    for y in maps:
        side, step = y.shape[1], size / y.shape[1]
        at = (np.arange(side, dtype=np.float32) + 0.5) * step
        cy, cx = np.meshgrid(at, at, indexing="ij")
        box = [np.stack([cx, cy, np.full_like(cx, 4 * step * r ** 0.5),
                         np.full_like(cx, 4 * step / r ** 0.5)], -1) for r in (1, 2, 0.5)]
        rows.append(np.stack(box, 2).reshape(-1, 4))
    return np.concatenate(rows)


def by_prior(maps, values):
    return np.concatenate([y.reshape(3, values, -1).transpose(2, 0, 1).reshape(-1, values)
                           for y in maps])


def decode(prior, loc):
    loc = loc * VARIANCE
    return np.concatenate([prior[:, :2] + loc[:, :2] * prior[:, 2:],
                           prior[:, 2:] * np.exp(loc[:, 2:])], 1)


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def suppress(box, score):
    """Greedy NMS; indices of those that stay."""
    lo, hi = box[:, :2] - box[:, 2:] / 2, box[:, :2] + box[:, 2:] / 2
    area, order, keep = box[:, 2] * box[:, 3], np.argsort(-score)[:1000], []
    while order.size:
        i, rest = order[0], order[1:]
        keep.append(i)
        both = np.clip(np.minimum(hi[i], hi[rest]) - np.maximum(lo[i], lo[rest]), 0, None)
        shared = both[:, 0] * both[:, 1]
        order = rest[shared <= NMS * (area[i] + area[rest] - shared)]
    return keep


def main():
    peer, name, size, picture = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    y = {"ncnn": run_ncnn, "torch": run_torch}[peer](name, size, read(picture, size))
    arm_loc, arm_conf, odm_loc, odm_conf = (y[4 * i:4 * i + 4] for i in range(4))
    classes = odm_conf[0].shape[0] // 3
    box = decode(decode(priors(arm_loc, size), by_prior(arm_loc, 4)), by_prior(odm_loc, 4))
    score = softmax(by_prior(odm_conf, classes))
    score[softmax(by_prior(arm_conf, 2))[:, 1] <= ARM_THRESH] = 0
    found = []
    for c in range(1, classes):
        some = np.flatnonzero(score[:, c] > THRESH)
        found += [(float(score[some[k], c]), c - 1) for k in suppress(box[some], score[some, c])]
    print(len(found), max(found, default=None), flush=True)
    os._exit(0)  # tearing down is not part of it


if __name__ == "__main__":
    main()
