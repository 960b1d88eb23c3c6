#!/usr/bin/python3
"""A small RefineDet in PyTorch, written from the paper and knowing nothing of vov.

Writes the weights, a batch, and what must come of them: outputs, detections, losses, gradients and
batch norm statistics, all computed in double precision.

    scripts/golden/refinedet.py tests/golden/refinedet.safetensors

Needs Debian's python3-torch. Zhang et al. 2018 (RefineDet), Liu et al. 2016 (SSD).
"""
import itertools
import json
import math
import struct
import sys

import torch
import torch.nn.functional as F

SIZE, CLASSES, BATCH, TRUTHS = 32, 3, 2, 4
LEVELS = ((4, 6), (8, 12), (16, 24))  # stride, side of the square prior
RATIOS = (1.0, 2.0)
VARIANCE = torch.tensor([0.1, 0.1, 0.2, 0.2], dtype=torch.float64)
ARM_THRESH, CONF_THRESH, NMS, TOP_K, KEEP = 0.45, 0.3, 0.45, 40, 60
EPS, MOMENTUM = 1e-5, 0.9

CFG = """[net]
width = 32
height = 32
classes = 3
mean = 0
std = 1
batch = 2
max_boxes = 4
[conv]
name = c1
filters = 4
size = 3
stride = 2
pad = 1
batch_normalize = 1
activation = relu
[conv]
name = c2
filters = 8
size = 3
stride = 2
pad = 1
batch_normalize = 1
activation = relu
[conv]
name = c3
filters = 8
size = 3
stride = 2
pad = 1
batch_normalize = 1
activation = relu
[bottleneck]
name = c4
width = 4
out = 8
stride = 2
stride_on = 1x1
[tcb]
name = p4
channels = 6
[tcb]
name = p3
from = c3
top = p4
channels = 6
[tcb]
name = p2
from = c2
top = p3
channels = 6
[refinedet]
name = head
arm = c2, c3, c4
odm = p2, p3, p4
sizes = 6, 12, 24
ratios = 1, 2
inter = 1
inter_width = 4
inter_out = 6
arm_thresh = 0.45
conf_thresh = 0.3
top_k = 40
keep_top_k = 60
"""


class Net:
    """Parameters are made where they are first used; a second pass uses the same."""

    def __init__(self):
        self.p, self.stats, self.after = {}, {}, {}
        self.training = False

    def param(self, name, shape, make):
        if name not in self.p:
            # Numbers that a file of single precision holds exactly.
            self.p[name] = make(shape).float().double().requires_grad_()
        return self.p[name]

    def norm(self, name, x):
        c = x.shape[1]
        gamma = self.param(name + "/gamma", (c,), lambda s: 0.7 + 0.6 * torch.rand(s))
        beta = self.param(name + "/beta", (c,), lambda s: 0.2 * torch.randn(s))
        if name not in self.stats:
            self.stats[name] = ((0.3 * torch.randn(c)).float().double(),
                                (0.5 + torch.rand(c)).float().double())
        mean, var = self.stats[name]
        if self.training:
            mean = x.mean((0, 2, 3))
            var = ((x - mean[:, None, None]) ** 2).mean((0, 2, 3))
            n = x.numel() // c
            self.after[name] = tuple(
                MOMENTUM * old + (1 - MOMENTUM) * new.detach()
                for old, new in zip(self.stats[name], (mean, var * n / (n - 1))))
        y = (x - mean[:, None, None]) / torch.sqrt(var + EPS)[:, None, None]
        return y * gamma[:, None, None] + beta[:, None, None]

    def conv(self, name, x, out, k, stride=1, bias=False):
        fan_in = x.shape[1] * k * k
        w = self.param(name + "/weight", (out, x.shape[1], k, k),
                       lambda s: torch.randn(s) * math.sqrt(2 / fan_in))
        b = self.param(name + "/bias", (out,), lambda s: 0.3 * torch.randn(s)) if bias else None
        return F.conv2d(x, w, b, stride, k // 2)

    def conv_norm(self, name, x, out, k, stride=1, relu=True):
        y = self.norm(name + "/norm", self.conv(name, x, out, k, stride))
        return F.relu(y) if relu else y

    def residual(self, name, x, width, out, stride):
        side = self.conv_norm(name + "/project", x, out, 1, stride, relu=False)
        y = self.conv_norm(name + "/conv1", x, width, 1, stride)
        y = self.conv_norm(name + "/conv2", y, width, 3)
        y = self.conv_norm(name + "/conv3", y, out, 1, relu=False)
        return F.relu(y + side)

    def tcb(self, name, x, top, c):
        y = self.conv_norm(name + "/conv1", x, c, 3)
        y = self.conv_norm(name + "/conv2", y, c, 3, relu=top is None)
        if top is not None:
            w = self.param(name + "/up/weight", (top.shape[1], c, 2, 2),
                           lambda s: torch.randn(s) * 0.4)
            up = self.norm(name + "/up/norm", F.conv_transpose2d(top, w, stride=2))
            y = F.relu(y + up)
        return self.conv_norm(name + "/out", y, c, 3)

    def rows(self, name, inputs, values):
        """[n, anchors * values, h, w] of each level -> [n, priors, values]"""
        maps = [self.conv("%s%d" % (name, i + 1), x, len(RATIOS) * values, 3, bias=True)
                for i, x in enumerate(inputs)]
        return torch.cat([m.permute(0, 2, 3, 1).reshape(m.shape[0], -1, values) for m in maps], 1)

    def forward(self, x):
        c1 = self.conv_norm("c1", x, 4, 3, 2)
        c2 = self.conv_norm("c2", c1, 8, 3, 2)
        c3 = self.conv_norm("c3", c2, 8, 3, 2)
        c4 = self.residual("c4/block1", c3, 4, 8, 2)
        p4 = self.tcb("p4", c4, None, 6)
        p3 = self.tcb("p3", c3, p4, 6)
        p2 = self.tcb("p2", c2, p3, 6)
        arm = [self.residual("head/arm_inter%d" % (i + 1), t, 4, 6, 1)
               for i, t in enumerate((c2, c3, c4))]
        odm = [self.residual("head/odm_inter%d" % (i + 1), t, 4, 6, 1)
               for i, t in enumerate((p2, p3, p4))]
        return {"arm_loc": self.rows("head/arm_loc", arm, 4),
                "arm_conf": self.rows("head/arm_conf", arm, 2),
                "odm_loc": self.rows("head/odm_loc", odm, 4),
                "odm_conf": self.rows("head/odm_conf", odm, CLASSES + 1)}


def priors():
    """Centre x, y, width, height."""
    rows = []
    for stride, side in LEVELS:
        for i, j in itertools.product(range(SIZE // stride), repeat=2):
            for r in RATIOS:
                rows.append(((j + 0.5) * stride / SIZE, (i + 0.5) * stride / SIZE,
                             side * math.sqrt(r) / SIZE, side / math.sqrt(r) / SIZE))
    return torch.tensor(rows, dtype=torch.float64)


def corners(b):
    return torch.cat([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], 1)


def decode(anchor, t):
    t = t * VARIANCE
    return torch.cat([anchor[:, :2] + t[:, :2] * anchor[:, 2:],
                      anchor[:, 2:] * torch.exp(t[:, 2:])], 1)


def encode(anchor, truth):
    return torch.cat([(truth[:, :2] - anchor[:, :2]) / anchor[:, 2:],
                      torch.log(truth[:, 2:] / anchor[:, 2:])], 1) / VARIANCE


def overlaps(a, b):
    """[P, T] of boxes given by centres and sizes"""
    a, b = corners(a)[:, None], corners(b)[None]
    both = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(0)
    both = both.prod(-1)
    return both / ((a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - both)


def match(anchor, truth):
    """For each anchor the index of its truth, or -1, and its best overlap."""
    iou = overlaps(anchor, truth)
    best, which = iou.max(1)
    index = torch.full((len(anchor),), -1, dtype=torch.long)
    index[best >= 0.5] = which[best >= 0.5]
    assert (best - 0.5).abs().min() > 1e-4
    pool = iou.clone()
    for _ in range(len(truth)):
        first, second = pool.flatten().topk(2).values
        assert first - second > 1e-4  # a choice that single precision makes too
        p, t = divmod(int(pool.argmax()), len(truth))
        index[p] = t
        pool[p, :] = pool[:, t] = -1
    return index, best


def multibox(anchors, loc, conf, truths, objectness, arm_conf=None):
    """anchors: of each image. Localisation and classification loss, positives, filtered."""
    loc_loss = conf_loss = 0
    positives = filtered = 0
    for n, truth in enumerate(truths):
        index, best = match(anchors[n], truth[:, :4])
        pos = index >= 0
        label = torch.zeros(len(index), dtype=torch.long)
        label[pos] = 1 if objectness else truth[index[pos], 4].long()
        loss = F.cross_entropy(conf[n], label, reduction="none")
        free = ~pos & (best < 0.5)
        if arm_conf is not None:
            likely = F.softmax(arm_conf[n], 1)[:, 1] >= ARM_THRESH
            filtered += int((free & ~likely).sum())
            free &= likely
        negative = loss.detach().clone()
        negative[~free] = -1
        order = negative.argsort(descending=True)
        k = min(3 * int(pos.sum()), int(free.sum()))
        if k < int(free.sum()):
            assert negative[order[k - 1]] - negative[order[k]] > 1e-5
        target = encode(anchors[n][pos], truth[index[pos], :4])
        loc_loss = loc_loss + F.smooth_l1_loss(loc[n][pos], target, reduction="sum")
        conf_loss = conf_loss + loss[pos].sum() + loss[order[:k]].sum()
        positives += int(pos.sum())
    return loc_loss / max(1, positives), conf_loss / max(1, positives), positives, filtered


def losses(out, truths):
    prior = priors()
    refined = [decode(prior, t).detach() for t in out["arm_loc"]]
    arm = multibox([prior] * BATCH, out["arm_loc"], out["arm_conf"], truths, True)
    odm = multibox(refined, out["odm_loc"], out["odm_conf"], truths, False,
                   out["arm_conf"].detach())
    assert odm[3] > 10
    return arm, odm


def detections(out):
    """Rows: image, class from 0, score, corners; by image, then falling score."""
    rows = []
    for n in range(BATCH):
        box = corners(decode(decode(priors(), out["arm_loc"][n]), out["odm_loc"][n]))
        alive = F.softmax(out["arm_conf"][n], 1)[:, 1]
        assert (alive - ARM_THRESH).abs().min() > 1e-5
        score = F.softmax(out["odm_conf"][n], 1) * (alive >= ARM_THRESH)[:, None]
        assert (score - CONF_THRESH).abs().min() > 1e-5
        found = []
        for c in range(1, CLASSES + 1):
            order = [int(i) for i in score[:, c].argsort(descending=True)
                     if score[i, c] > CONF_THRESH][:TOP_K]
            kept = []
            for i in order:
                centre = torch.cat([(box[[i] + kept, :2] + box[[i] + kept, 2:]) / 2,
                                    box[[i] + kept, 2:] - box[[i] + kept, :2]], 1)
                iou = overlaps(centre[:1], centre[1:])[0]
                assert len(kept) == 0 or (iou - NMS).abs().min() > 1e-5
                if not (iou > NMS).any():
                    kept.append(i)
            found += [[n, c - 1, float(score[i, c])] + box[i].tolist() for i in kept]
        found.sort(key=lambda r: -r[2])
        rows += found[:KEEP]
    return torch.tensor(rows, dtype=torch.float64)


def write(path, tensors):
    header, data = {"__metadata__": {"cfg": CFG}}, b""
    for name, t in tensors.items():
        raw = struct.pack("<%df" % t.numel(), *t.detach().reshape(-1).tolist())
        header[name] = {"dtype": "F32", "shape": list(t.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def main():
    torch.manual_seed(8)
    torch.set_default_dtype(torch.float64)
    image = (torch.rand(BATCH, 3, SIZE, SIZE) * 2 - 1).float().double()
    corner = torch.tensor([[[.11, .12, .30, .33, 1], [.21, .33, .99, .97, 3], [.56, .04, .93, .38, 2],
                            [0, 0, 0, 0, 0]],
                           [[.19, .46, .55, .82, 2], [.38, .55, .85, .83, 2], [0, 0, 0, 0, 0],
                            [0, 0, 0, 0, 0]]]).float().double()
    truths = []
    for rows in corner:
        rows = rows[rows[:, 4] > 0]
        truths.append(torch.cat([(rows[:, :2] + rows[:, 2:4]) / 2, rows[:, 2:4] - rows[:, :2],
                                 rows[:, 4:]], 1))
    net = Net()
    with torch.no_grad():
        out = net.forward(image)
        found = detections(out)
    net.training = True
    arm, odm = losses(net.forward(image), truths)
    (arm[0] + arm[1] + odm[0] + odm[1]).backward()

    tensors = {"image": image, "truth": corner, "detections": found,
               "arm_loss": torch.tensor([float(v) for v in arm[:3]]),
               "odm_loss": torch.tensor([float(v) for v in odm[:3]])}
    tensors.update(("out/" + k, v) for k, v in out.items())
    for name, p in net.p.items():
        tensors["param/" + name] = p
        tensors["grad/" + name] = p.grad
    for name, (mean, var) in net.stats.items():
        tensors["param/%s/mean" % name], tensors["param/%s/var" % name] = mean, var
        tensors["after/%s/mean" % name], tensors["after/%s/var" % name] = net.after[name]
    write(sys.argv[1], tensors)
    print("%d detections, positives %d and %d, %d negatives filtered" %
          (len(found), arm[2], odm[2], odm[3]))


if __name__ == "__main__":
    main()
