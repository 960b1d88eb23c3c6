#!/bin/sh
# masks.sh - a network that finds masks, from training to files: eval gives the twelve numbers of
# masks beside those of boxes, and cocoeval the same ones of what was written; detect writes and
# draws masks.
set -eu
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
fail() {
    echo "$1"
    exit 1
}
vov=${VOV:-./vov}
$vov data draw -q "$t/set" --images 30 --size 64 --classes 4
data=$t/set/drawn.data cfg=cfg/detect/maskrcnn-small.cfg
set -- --set net.width=64 --set net.height=64
$vov train $cfg "$data" --out "$t/run" -q --epochs 2 --eval-every 1 "$@" --set net.burn_in=0 \
    --set net.learning_rate=0.01 --set net.batch=4
grep -q '"segm":{"AP":' "$t/run/metrics.jsonl" || fail "no masks in metrics.jsonl"
weights=$t/run/last.safetensors

$vov eval $cfg "$weights" "$data" --json --coco "$t/found.json" "$@" >"$t/eval.json"
$vov cocoeval "$t/set/val.json" "$t/found.json" --json >"$t/bbox.json"
$vov cocoeval "$t/set/val.json" "$t/found.json" --iou segm --json >"$t/segm.json"
python3 - "$t" <<'END'
import json
import sys

both, bbox, segm = (json.load(open(f"{sys.argv[1]}/{f}.json")) for f in ("eval", "bbox", "segm"))
assert both["bbox"] == bbox["bbox"], (both["bbox"], bbox["bbox"])
assert both["segm"] == segm["segm"], (both["segm"], segm["segm"])
assert len(both["segm"]) == 12
for a, b, c in zip(both["per_class"], bbox["per_class"], segm["per_class"]):
    names = {"id": a["id"], "name": a["name"]}
    assert {k: v for k, v in a.items() if k != "segm"} == b and {**names, **a["segm"]} == c
END
$vov eval $cfg "$weights" "$data" "$@" >"$t/text"
[ "$(grep -c 'IoU=0.50:0.95 | area=   all | maxDets=100' "$t/text")" = 4 ] || fail "not two tables"

# Annotations without masks: boxes alone, and it is said; nothing to learn masks from.
sed 's/, "segmentation": \[\[[^]]*\]\]//' "$t/set/val.json" >"$t/set/boxes.json"
$vov eval $cfg "$weights" "$t/set/boxes.json" --json "$@" >"$t/boxes.json" 2>"$t/said"
grep -q '"segm"' "$t/boxes.json" && fail "masks were measured against none"
grep -q 'have no "segmentation"' "$t/said" || fail "it was not said that masks are missing"
code=0
$vov train $cfg "$t/set/boxes.json" --out "$t/none" -q "$@" 2>"$t/said" || code=$?
[ $code = 4 ] && grep -q 'learns masks' "$t/said" || fail "trained masks without any: $code"

# detect: a mask for each detection, of the picture's size, in both files; pictures with colour.
$vov detect $cfg "$weights" "$data" -q --thresh 0.02 --json "$t/d.json" --coco "$t/c.json" \
    --out "$t/drawn" "$@"
python3 - "$t" <<'END'
import json
import sys

pictures, coco = (json.load(open(f"{sys.argv[1]}/{f}.json")) for f in ("d", "c"))
masks = []
for p in pictures:
    for d in p["detections"]:
        assert d["segmentation"]["size"] == [p["height"], p["width"]]
        masks.append(d["segmentation"])
assert masks and masks == [r["segmentation"] for r in coco]
END
[ "$(find "$t/drawn" -name '*.jpg' | wc -l)" = 6 ] || fail "not six pictures drawn"
