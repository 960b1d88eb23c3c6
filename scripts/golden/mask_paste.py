#!/usr/bin/python3
"""Writes what PyTorch makes of small masks that are pasted into a picture, for
tests/unit/test_mask_paste.c:

    scripts/golden/mask_paste.py tests/golden/mask_paste.safetensors

Needs Debian's python3-torch and python3-torchvision. Two ways are in use. `chance` is sampled by
grid_sample at the centres of pixels over the box as it is, as detectron2 does; it is what vov does.
`rounded` is torchvision's paste_masks_in_image, which moves the box's corners to whole pixels first;
the test wants the two to be close only.
"""
import json
import struct
import sys

import torch
import torch.nn.functional as F
from torchvision.models.detection.roi_heads import paste_masks_in_image

SIDE, HEIGHT, WIDTH = 28, 90, 120
BOXES = [
    [10.3, 7.8, 95.1, 71.4],      # larger than the grid
    [40.0, 20.0, 68.0, 48.0],     # a cell is a pixel
    [3.25, 60.5, 19.75, 70.125],  # smaller
    [0.0, 0.0, 120.0, 90.0],      # all of the picture
    [100.6, 50.2, 120.0, 90.0],   # in its corner
    [55.2, 4.0, 58.9, 88.7],      # narrow
]


def smooth_masks(n):
    coarse = torch.randn(n, 1, 6, 6) * 4
    return torch.sigmoid(F.interpolate(coarse, (SIDE, SIDE), mode="bicubic", align_corners=False))


def sample(masks, boxes):
    x = torch.arange(WIDTH) + 0.5
    y = torch.arange(HEIGHT) + 0.5
    x0, y0, x1, y1 = (boxes[:, k, None] for k in range(4))
    gx = ((x - x0) / (x1 - x0) * 2 - 1)[:, None, :].expand(-1, HEIGHT, -1)
    gy = ((y - y0) / (y1 - y0) * 2 - 1)[:, :, None].expand(-1, -1, WIDTH)
    return F.grid_sample(masks, torch.stack([gx, gy], 3), mode="bilinear", padding_mode="zeros",
                         align_corners=False)[:, 0]


def write(path, tensors):
    head, at = {}, 0
    for name, t in tensors.items():
        size = 4 * t.numel()
        head[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            out.write(t.float().contiguous().numpy().tobytes())


def main():
    torch.manual_seed(5)
    torch.set_default_dtype(torch.float64)
    boxes = torch.tensor(BOXES)
    masks = smooth_masks(len(boxes)).float().double()
    rounded = paste_masks_in_image(masks, boxes, (HEIGHT, WIDTH))[:, 0] >= 0.5
    write(sys.argv[1], {"boxes": boxes, "masks": masks[:, 0], "chance": sample(masks, boxes),
                        "rounded": rounded})


main()
