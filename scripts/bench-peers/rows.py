"""The rows of the comparison: what runs, and how much faster vov is meant to be."""
import fnmatch
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    kind: str     # infer, train, memory-infer, memory-train, start
    net: str
    size: int
    batch: int
    threads: int
    goal: float   # times as fast as the fastest peer; for memory, the largest share of the peer's

    @property
    def name(self):
        return f"{self.kind}/{self.net}-{self.size}-b{self.batch}-t{self.threads}"


def all_rows():
    nets = [(n, s, 1.2) for n in ("vovnet27s", "vovnet39", "vovnet57") for s in (224, 320)]
    nets += [("resnet50", 224, 1.0), ("densenet121", 224, 1.0), ("yolov3-tiny", 416, 1.0)]
    rows = [Row("infer", n, s, b, t, goal) for n, s, goal in nets for b in (1, 8) for t in (1, 2)]
    steps = [("vovnet27s", 224, 8, 2.0), ("vovnet39", 224, 8, 2.0), ("resnet50", 224, 8, 1.3),
             ("densenet40", 32, 64, 1.3)]
    rows += [Row("train", n, s, b, t, goal) for n, s, b, goal in steps for t in (1, 2)]
    rows += [Row("memory-train", n, s, b, 2, 0.5) for n, s, b, _ in steps]
    rows += [Row("memory-infer", n, s, 1, 1, 0.7) for n, s, _ in nets]
    rows += [Row("start", "refinedet320-vovnet39", 320, 1, 2, 1.0)]
    return rows


def select(patterns):
    return [r for r in all_rows()
            if any(fnmatch.fnmatch(r.name, p) or fnmatch.fnmatch(r.name, p + "*")
                   for p in patterns)]
