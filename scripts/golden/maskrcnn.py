#!/usr/bin/python3
"""A small Mask R-CNN of torchvision's parts, which knows nothing of vov.

Writes the weights, a batch, and what must come of them: proposals, detections, masks, the five
losses, and the gradient of every parameter; and RoIAlign of both kinds, with its gradient. All is
computed in double precision.

    scripts/golden/maskrcnn.py tests/golden/maskrcnn.safetensors

Needs Debian's python3-torchvision. torchvision's anchors lie elsewhere in their cells, its box loss
bends elsewhere (at 1/9, not 1) and its mask targets are not rounded: these three are made here.
"""
import json
import math
import struct
import sys
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.detection import roi_heads as tv_roi
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign, roi_align
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

SIZE, CLASSES, BATCH, TRUTHS, SIDE = 64, 3, 2, 4, 112
SIZES, RATIOS = (12, 24, 40), (0.5, 1.0, 2.0)

CFG = """[net]
width = 64
height = 64
classes = 3
mean = 0
std = 1
batch = 2
max_boxes = 4
[conv]
name = c1
filters = 6
size = 3
stride = 2
pad = 1
activation = relu
[conv]
name = c2
filters = 8
size = 3
stride = 2
pad = 1
activation = relu
[conv]
name = c3
filters = 8
size = 3
stride = 2
pad = 1
activation = relu
[fpn]
name = fpn
levels = c2, c3
channels = 8
[rpn]
name = rpn
levels = p2, p3, p4
sizes = 12, 24, 40
round = 0
inside = 0
sample = 4000
train_before = 50
train_keep = 60
per_batch = 0
before = 40
keep = 25
rois = 400
[roi_align]
levels = p2, p3
size = 3
canonical = 64
[roi_box]
name = box
convs = 1
channels = 8
layers = 1
hidden = 16
conf_thresh = 0.2
keep = 10
[roi_align]
levels = p2, p3
size = 4
canonical = 64
[roi_mask]
name = mask
convs = 1
channels = 8
"""


class Anchors(nn.Module):
    """Centred on their cells, of one area on each level."""

    def forward(self, images, maps):
        rows = []
        for x, size, stride in zip(maps, SIZES, (4, 8, 16)):
            for i in range(x.shape[2]):
                for j in range(x.shape[3]):
                    for r in RATIOS:
                        w, h = size / math.sqrt(r), size * math.sqrt(r)
                        u, v = (j + 0.5) * stride, (i + 0.5) * stride
                        rows.append((u - w / 2, v - h / 2, u + w / 2, v + h / 2))
        return [torch.tensor(rows)] * len(images.image_sizes)


class BoxHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.fc1 = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(72, 16)

    def forward(self, x):
        return F.relu(self.fc1(F.relu(self.conv1(x)).flatten(1)))


class MaskHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return F.relu(self.conv1(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.ModuleList([nn.Conv2d(a, b, 3, 2, 1) for a, b in ((3, 6), (6, 8), (8, 8))])
        self.fpn = FeaturePyramidNetwork([8, 8], 8, LastLevelMaxPool())
        self.rpn = RegionProposalNetwork(
            Anchors(), RPNHead(8, 3), 0.7, 0.3, 4000, 0.5, {"training": 50, "testing": 40},
            {"training": 60, "testing": 25}, 0.7)
        self.roi = tv_roi.RoIHeads(
            MultiScaleRoIAlign(["0", "1"], 3, 2, canonical_scale=64), BoxHead(),
            FastRCNNPredictor(16, CLASSES + 1), 0.5, 0.5, 400, 0.25, None, 0.2, 0.5, 10,
            MultiScaleRoIAlign(["0", "1"], 4, 2, canonical_scale=64), MaskHead(),
            MaskRCNNPredictor(8, 8, CLASSES + 1))

    def names(self):
        """What vov calls each layer."""
        tree = dict(self.named_modules())
        table = {"c1": "c.0", "c2": "c.1", "c3": "c.2", "rpn/object": "rpn.head.cls_logits",
                 "rpn/conv": "rpn.head.conv.0.0", "rpn/box": "rpn.head.bbox_pred",
                 "box/conv1": "roi.box_head.conv1", "box/fc1": "roi.box_head.fc1",
                 "box/class": "roi.box_predictor.cls_score",
                 "box/box": "roi.box_predictor.bbox_pred", "mask/conv1": "roi.mask_head.conv1",
                 "mask/up": "roi.mask_predictor.conv5_mask",
                 "mask/masks": "roi.mask_predictor.mask_fcn_logits"}
        for i in (1, 2):
            table["fpn/lateral%d" % i] = "fpn.inner_blocks.%d.0" % (i - 1)
            table["fpn/smooth%d" % i] = "fpn.layer_blocks.%d.0" % (i - 1)
        return {ours: tree[theirs] for ours, theirs in table.items()}

    def maps(self, image):
        found, x = OrderedDict(), image
        for i, conv in enumerate(self.c):
            x = F.relu(conv(x))
            if i > 0:
                found[str(i - 1)] = x
        return self.fpn(found)


def mask_targets(boxes, matched, labels, truth_boxes, grids, size):
    """Of each region that is an object: means of 2 x 2 samples of its truth's grid, rounded."""
    out = []
    for box, t in zip(boxes[labels > 0], matched[labels > 0]):
        tb = truth_boxes[t]
        at = (torch.arange(2 * size) + 0.5) / (2 * size)
        x = (box[0] + at * (box[2] - box[0]) - tb[0]) / (tb[2] - tb[0])
        y = (box[1] + at * (box[3] - box[1]) - tb[1]) / (tb[3] - tb[1])
        grid = torch.stack([x[None].expand(2 * size, -1), y[:, None].expand(-1, 2 * size)], -1)
        v = F.grid_sample(grids[t][None, None], 2 * grid[None] - 1, padding_mode="border",
                          align_corners=False)
        inside = ((grid >= 0) & (grid <= 1)).all(-1)
        mean = F.avg_pool2d(v * inside, 2)[0, 0]
        assert (mean - 0.5).abs().min() > 1e-5
        out.append((mean >= 0.5).double())
    return torch.stack(out)


def train(net, image, truths, grids):
    images = ImageList(image, [(SIZE, SIZE)] * BATCH)
    maps = net.maps(image)
    targets = [{"boxes": t[:, :4], "labels": t[:, 4].long(), "masks": None} for t in truths]
    proposals, rpn = net.rpn(images, maps, targets)
    boxes, matched, labels, regression = net.roi.select_training_samples(proposals, targets)
    logits, deltas = net.roi.box_predictor(
        net.roi.box_head(net.roi.box_roi_pool(maps, boxes, images.image_sizes)))
    label, goal = torch.cat(labels), torch.cat(regression)
    own = deltas.reshape(len(label), -1, 4)[torch.arange(len(label)), label]
    box = F.smooth_l1_loss(own[label > 0], goal[label > 0], reduction="sum") / len(label)
    objects = [b[l > 0] for b, l in zip(boxes, labels)]
    masks = net.roi.mask_predictor(
        net.roi.mask_head(net.roi.mask_roi_pool(maps, objects, images.image_sizes)))
    goal = torch.cat([mask_targets(boxes[n], matched[n], labels[n], truths[n][:, :4], grids[n],
                                   masks.shape[2]) for n in range(BATCH)])
    mask = F.binary_cross_entropy_with_logits(
        masks[torch.arange(len(goal)), label[label > 0]], goal)
    assert all(len(b) == len(p) + len(t) for b, p, t in zip(boxes, proposals, truths))
    print("%d regions, %d objects" % (len(label), len(goal)))
    return [rpn["loss_objectness"], rpn["loss_rpn_box_reg"], F.cross_entropy(logits, label), box,
            mask], len(label), len(goal)


def find(net, image):
    """Proposals; rows of image, class from 0, score, corners; masks."""
    images = ImageList(image, [(SIZE, SIZE)] * BATCH)
    maps = net.maps(image)
    proposals, _ = net.rpn(images, maps)
    found, _ = net.roi(maps, proposals, images.image_sizes)
    rows = [[n, int(c) - 1, float(s)] + [v / SIZE for v in b.tolist()]
            for n in range(BATCH) for c, s, b in zip(found[n]["labels"], found[n]["scores"],
                                                     found[n]["boxes"])]
    masks = torch.cat([f["masks"] for f in found])
    return torch.stack(proposals), torch.tensor(rows), masks


def align_cases():
    """RoIAlign of both kinds: a map, regions (image, corners), results, gradients."""
    x = torch.randn(2, 3, 9, 12)
    boxes = torch.tensor([[0, 3, 5, 61, 40], [0, -20, -9, 30, 70], [1, 40, 8, 90, 75.5],
                          [1, 20, 20, 22, 21], [0, 90, 66, 130, 99], [1, 0.5, 1.5, 64, 64]])
    tensors = {"align/map": x, "align/boxes": boxes}
    for aligned in (False, True):
        t = x.clone().requires_grad_()
        y = roi_align(t, boxes, (5, 5), 1 / 8, 2, aligned)
        g = torch.randn(y.shape)
        (y * g).sum().backward()
        name = "align/%d/" % aligned
        tensors.update({name + "y": y, name + "dy": g, name + "dx": t.grad})
    return tensors


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
    torch.manual_seed(int(sys.argv[2]) if len(sys.argv) > 2 else 9)
    torch.set_default_dtype(torch.float64)
    net = Net()
    names = net.names()
    for name, layer in names.items():
        scale = {"rpn/box": 0.1, "box/box": 0.5, "box/class": 1.6}.get(name, 1.2)
        fan_in = layer.weight[0].numel() if name != "mask/up" else layer.weight.shape[0]
        layer.weight.data = (torch.randn(layer.weight.shape) * scale * math.sqrt(2 / fan_in)
                             ).float().double()
        layer.bias.data = (0.2 * torch.randn(layer.bias.shape)).float().double()
    image = (torch.rand(BATCH, 3, SIZE, SIZE) * 2 - 1).float().double()
    corner = torch.tensor([[[.11, .12, .40, .33, 1], [.21, .43, .99, .97, 3], [.56, .04, .93, .38, 2],
                            [0, 0, 0, 0, 0]],
                           [[.19, .46, .55, .82, 2], [.38, .25, .85, .63, 2], [0, 0, 0, 0, 0],
                            [0, 0, 0, 0, 0]]]).float().double()
    cell = (torch.arange(SIDE) + 0.5) / SIDE - 0.5
    disc = 0.2 - (cell[:, None] - 0.03) ** 2 - (cell[None] + 0.05) ** 2
    wedge = cell[None] + 0.1 - cell[:, None] * 0.7
    grids = torch.stack([disc, wedge, torch.maximum(disc, wedge), torch.minimum(disc, wedge)])
    grids = torch.sigmoid(30 * grids).float().double()  # soft, so that no mean is a half
    truths = []
    for rows in corner:
        rows = rows[rows[:, 4] > 0].clone()
        rows[:, :4] *= SIZE
        truths.append(rows)
    net.train()
    losses, regions, objects = train(net, image, truths, [grids, grids])
    sum(losses).backward()
    net.eval()
    with torch.no_grad():
        proposals, found, masks = find(net, image)
    tensors = {"image": image, "truth": corner, "truth_masks": grids,
               "proposals": proposals, "detections": found, "masks": masks,
               "losses": torch.stack([v.detach() for v in losses]),
               "counts": torch.tensor([float(regions), float(objects)])}
    for name, layer in names.items():
        for kind in ("weight", "bias"):
            p = getattr(layer, kind)
            tensors["param/%s/%s" % (name, kind)] = p
            tensors["grad/%s/%s" % (name, kind)] = p.grad
    tensors.update(align_cases())
    write(sys.argv[1], tensors)
    print(len(found), "detections; losses", [round(float(v), 4) for v in losses])


if __name__ == "__main__":
    main()
