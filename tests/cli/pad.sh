#!/bin/sh
# pad.sh - pictures in their shape (fit=pad): train, resume, eval and detect with batches of wide and
# of standing pictures.
set -eu
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
fail() {
    echo "$1"
    exit 1
}
./vov data draw -q "$t/set" --images 30 --size 64 --classes 4
data=$t/set/drawn.data
train() {
    out=$1
    shift
    ./vov train tests/cli/tiny.cfg "$data" --out "$t/$out" --seed 5 -q --set net.fit=pad \
        --set net.width=96 --set net.short_side=48,56,64 --set net.batch=4 --set net.crop=0 \
        --set net.expand=0 "$@"
}
grep -o '"width": [0-9]*, "height": [0-9]*' "$t/set/train.json" >"$t/sizes"
awk -F'[ ,]+' '$2 < $4 { tall++ } $2 > $4 { wide++ } END { exit !(tall && wide) }' "$t/sizes" ||
    fail "the drawn pictures are all of one kind"

train one --threads 1 --epochs 3
train two --threads 2 --epochs 3
cmp "$t/one/last.safetensors" "$t/two/last.safetensors" || fail "1 and 2 threads differ"
train part --epochs 1
train part --epochs 3 --resume
./vov eval tests/cli/tiny.cfg "$t/one/last.safetensors" "$data" --json --set net.fit=pad \
    --set net.width=96 --coco "$t/found.json" >"$t/eval.json"
./vov cocoeval "$t/set/val.json" "$t/found.json" --json >"$t/coco.json"
cmp "$t/eval.json" "$t/coco.json" || fail "eval and cocoeval differ"
./vov eval tests/cli/tiny.cfg "$t/one/last.safetensors" "$data" --json --set net.fit=pad \
    --set net.width=96 --batch 1 >"$t/single.json"
cmp "$t/eval.json" "$t/single.json" || fail "batches of 1 and of 4 differ"
./vov detect tests/cli/tiny.cfg "$t/one/last.safetensors" "$data" --set net.fit=pad \
    --set net.width=96 --thresh 0 --coco "$t/detected.json" -q
for found in found detected; do
    ./vov cocoeval "$t/set/val.json" "$t/$found.json" >"$t/$found.txt"
done
cmp "$t/found.txt" "$t/detected.txt" || fail "eval and detect differ"
