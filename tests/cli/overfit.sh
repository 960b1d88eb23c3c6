#!/bin/sh
# overfit.sh - scripts/overfit-eight: it takes the eight photographs it says, the loss
# falls from the start, and too few epochs are not called success. All of it takes minutes: docs/mask-rcnn.md.
set -eu
photographs=../shared/data/coco_mini/train.json
[ -f "$photographs" ] || {
    echo "no $photographs here"
    exit 77
}
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
code=0
scripts/overfit-eight --epochs 6 --out "$t" "$photographs" >"$t/out" 2>"$t/err" || code=$?
[ "$code" = 1 ] || { cat "$t/err"; echo "exit code $code"; exit 1; }
grep -q '^13 objects of 10 classes in pictures 30, 34, 42, 81, 321, 394, 490, 502$' "$t/out" ||
    { cat "$t/out"; echo "other pictures"; exit 1; }
grep -q '^AP of boxes 0\.[0-9]*, of masks 0\.[0-9]*$' "$t/out" || { cat "$t/out"; echo "no APs"; exit 1; }
grep -o '"loss":[0-9.]*' "$t/run/metrics.jsonl" | cut -d : -f 2 >"$t/loss"
[ "$(wc -l <"$t/loss")" = 12 ] || { echo "not two updates for each epoch"; exit 1; }
awk 'NR == 1 { first = $1 } { last = $1 } END { exit !(last < 0.85 * first) }' "$t/loss" ||
    { cat "$t/loss"; echo "the loss does not fall"; exit 1; }
