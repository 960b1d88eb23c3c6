#!/usr/bin/env python3
"""COCO's evaluation by vov and by pycocotools: seconds of CPU, memory, and whether they agree.

    python3 -m venv build/coco && build/coco/bin/pip install pycocotools
    build/coco/bin/python scripts/bench-peers/cocoeval.py [--images N]

Makes a data set as large as val2017 (5000 pictures, about seven truths and a hundred detections in
each, 80 classes, random boxes and jittered copies), measures it with both, and compares.
"""
import argparse
import json
import os
import random
import resource
import subprocess
import sys

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
OUT = os.path.join(ROOT, "build", "bench-peers")
NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def moved(r, box, by):
    x, y, w, h = (v + r.gauss(0, by) for v in box)
    return [round(x, 2), round(y, 2), round(max(1, w), 2), round(max(1, h), 2)]


def make_set(n, gt, dt):
    r = random.Random(1)
    ids = [c for c in range(1, 91) if c % 9]
    images, truths, found = [], [], []
    for i in range(n):
        images.append({"id": i * 7 + 1, "width": 640, "height": 480, "file_name": f"{i}.jpg"})
        here = []
        for _ in range(min(60, int(r.expovariate(1 / 7.36)))):
            w, h = min(600, r.lognormvariate(4, 1)), min(440, r.lognormvariate(4, 1))
            box = [round(r.uniform(0, 640 - w), 2), round(r.uniform(0, 480 - h), 2),
                   round(w, 2), round(h, 2)]
            here.append((box, r.choice(ids)))
            truths.append({"id": len(truths) + 1, "image_id": i * 7 + 1, "bbox": box,
                           "category_id": here[-1][1], "area": round(w * h * 0.7, 2),
                           "iscrowd": int(r.random() < 0.012)})
        for _ in range(100):
            box, category, score = moved(r, (300, 200, 80, 80), 60), r.choice(ids), r.random() / 2
            if here and r.random() < 0.4:
                box, category = r.choice(here)
                box, score = moved(r, box, r.choice((1, 4, 12))), 0.2 + 0.8 * r.random()
            found.append({"image_id": i * 7 + 1, "category_id": category, "bbox": box,
                          "score": round(score, 3)})
    with open(gt, "w", encoding="utf-8") as f:
        json.dump({"images": images, "annotations": truths,
                   "categories": [{"id": c, "name": f"c{c}"} for c in ids]}, f)
    with open(dt, "w", encoding="utf-8") as f:
        json.dump(found, f)


def by_pycocotools(gt, dt):
    """Runs in a process of its own."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    sys.stdout = sys.stderr
    truth = COCO(gt)
    run = COCOeval(truth, truth.loadRes(dt), "bbox")
    run.evaluate()
    run.accumulate()
    run.summarize()
    sys.stdout = sys.__stdout__
    print(json.dumps({"bbox": dict(zip(NAMES, map(float, run.stats)))}))


def measure(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(out)["bbox"], seconds, after.ru_maxrss / 1000


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    p.add_argument("--images", type=int, default=5000)
    p.add_argument("--pycocotools", nargs=2, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.pycocotools:
        by_pycocotools(*args.pycocotools)
        return
    os.makedirs(OUT, exist_ok=True)
    gt, dt = os.path.join(OUT, "truth.json"), os.path.join(OUT, "found.json")
    make_set(args.images, gt, dt)
    ours, seconds, mb = measure([os.path.join(ROOT, "vov"), "cocoeval", gt, dt, "--json"])
    print(f"vov          {seconds:7.2f} s of CPU, {mb:5.0f} MB")
    theirs, other, mb = measure([sys.executable, os.path.abspath(__file__), "--pycocotools", gt, dt])
    print(f"pycocotools  {other:7.2f} s of CPU, {mb:5.0f} MB: {other / seconds:.0f} x")
    worst = max(abs(ours[k] - theirs[k]) for k in NAMES)
    print(f"AP {ours['AP']:.6f}; the twelve numbers differ by {worst:.1e} at most")


if __name__ == "__main__":
    main()
