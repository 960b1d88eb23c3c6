#!/usr/bin/env python3
"""Pictures a second from JPEG files to normalised planes of 320x320: vov, OpenCV, torchvision.

    build/peers/bin/python scripts/bench-peers/decode.py [--workers N] [--rounds N] [FILE...]

or with the system's python3 where Debian's python3-opencv and python3-torchvision are installed;
`make build/release/tests/bench/bench_decode` comes first. Without FILEs it makes 128 pictures of
640x480 (noise of many scales, quality 90). The peers decode, resize bilinearly, subtract the mean
and give planes of floats, in threads (both let go of Python's lock) and in processes that hand
nothing back; the faster way counts. vov is its loader. All run in turn, A B C, C B A.
"""
import argparse
import glob
import multiprocessing
import os
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BENCH = os.path.join(ROOT, "build", "release", "tests", "bench", "bench_decode")
OUT = os.path.join(ROOT, "build", "bench-peers", "decode")
SIZE = 320
MEAN = (104.0, 117.0, 123.0)
peers = {}  # name: the function that reads one file; filled before processes are forked


def make_pictures(n):
    """Noise at every scale, as photographs have it, the finer the less of it."""
    import cv2
    os.makedirs(OUT, exist_ok=True)
    for k in range(n):
        rng = np.random.default_rng(k)
        img = np.full((480, 640, 3), 128, np.float32)
        for cells in (2, 4, 8, 16, 32, 64, 128, 256):
            part = rng.standard_normal((cells * 3 // 4 + 1, cells, 3)).astype(np.float32)
            img += cv2.resize(part, (640, 480), interpolation=cv2.INTER_CUBIC) * 60 / cells ** 0.5
        cv2.imwrite(os.path.join(OUT, f"{k:03d}.jpg"), np.clip(img, 0, 255).astype(np.uint8),
                    [cv2.IMWRITE_JPEG_QUALITY, 90])
    return sorted(glob.glob(os.path.join(OUT, "*.jpg")))


def opencv():
    import cv2
    cv2.setNumThreads(0)
    peers["opencv"] = lambda path: cv2.dnn.blobFromImage(cv2.imread(path), 1, (SIZE, SIZE), MEAN)
    return cv2.__version__


def torchvision():
    import torch
    import torchvision as tv
    from torchvision.transforms import functional
    torch.set_num_threads(1)
    mean = torch.tensor(MEAN[::-1])[:, None, None]

    def one(path):
        img = tv.io.decode_jpeg(tv.io.read_file(path))
        return functional.resize(img, [SIZE, SIZE], antialias=False).float().sub_(mean)
    peers["torchvision"] = one
    return tv.__version__


def share(work):
    name, files = work
    for path in files:
        peers[name](path)


def run_peer(name, pool, files, workers):
    parts = [(name, files[w::workers]) for w in range(workers)]
    start = time.perf_counter()
    list(pool.map(share, parts))
    return len(files) / (time.perf_counter() - start)


def run_vov(files, workers):
    out = subprocess.run([BENCH, str(SIZE), str(workers), "3"] + files, check=True,
                         capture_output=True, text=True).stdout
    return statistics.median(float(line) for line in out.split())


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    p.add_argument("files", nargs="*")
    p.add_argument("--workers", type=int, default=2)
    p.add_argument("--rounds", type=int, default=6)
    args = p.parse_args()
    versions = {"opencv": opencv(), "torchvision": torchvision()}
    files = args.files or make_pictures(128)
    fork = multiprocessing.get_context("fork").Pool(args.workers)
    threads = ThreadPoolExecutor(args.workers)
    ways = {"vov": lambda: run_vov(files, args.workers)}
    for name in peers:
        for kind, pool in (("threads", threads), ("processes", fork)):
            ways[f"{name} {versions[name]} {kind}"] = (
                lambda name=name, pool=pool: run_peer(name, pool, files, args.workers))
    rates = {name: [] for name in ways}
    for k in range(args.rounds + 1):
        for name in list(ways)[::-1 if k % 2 else 1]:
            rate = ways[name]()
            if k > 0:  # the first round warms up
                rates[name].append(rate)
    medians = {name: statistics.median(r) for name, r in rates.items()}
    size = sum(map(os.path.getsize, files)) / len(files) / 1000
    print(f"{len(files)} pictures of {size:.0f} KB, {args.workers} workers, {args.rounds} rounds; "
          "pictures a second, median (best)")
    for name, rate in sorted(medians.items(), key=lambda item: -item[1]):
        print(f"  {name:32s} {rate:7.0f} ({max(rates[name]):.0f})   vov is "
              f"{medians['vov'] / rate:.2f} x as fast")
    fork.terminate()


if __name__ == "__main__":
    main()
