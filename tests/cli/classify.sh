#!/bin/sh
# classify.sh - a classifier from the command line: CIFAR's binary files and folders of classes are
# learned and measured; boxes for a classifier, classes for a detector and damaged files are refused.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail() {
    echo "classify.sh: $*" >&2
    exit 1
}

# records LABELS: a record of each label, all its bytes 20 * (label + 2).
records() {
    for label in "$@"; do
        printf '%b' "\\0$(printf %o "$label")"
        head -c 3072 /dev/zero | tr '\0' "\\$(printf %o $((20 * (label + 2))))"
    done
}
for _ in 1 2 3 4; do
    records 0 1 2 3 4 5 6 7 8 9 >>"$tmp/a.bin"
done
records 9 8 7 6 5 4 3 2 1 0 >"$tmp/b.bin"
printf 'train = a.bin, b.bin\nvalid = b.bin\n' >"$tmp/c.data"
cat >"$tmp/net.cfg" <<'EOF'
[net]
width=16
height=16
classes=10
mean=128
std=64
crop=0
distort=0
pad_crop=2
batch=10
learning_rate=0.05
momentum=0.9
max_batches=150
policy=cosine
[convolutional]
filters=16
size=3
stride=4
pad=1
activation=relu
[convolutional]
filters=32
activation=relu
[global_avgpool]
[connected]
activation=linear
[softmax]
EOF

./vov train "$tmp/net.cfg" "$tmp/c.data" --out "$tmp/run" --threads 1 >"$tmp/log" 2>&1
grep -q '^train: 50 pictures of 10 classes' "$tmp/log" || fail "no count of pictures"
grep -q 'val top-1' "$tmp/log" || fail "no evaluation"
./vov eval "$tmp/net.cfg" "$tmp/run/best.safetensors" "$tmp/c.data" --json >"$tmp/eval.json"
grep -q '"top5":1[,}]' "$tmp/eval.json" || fail "not learned: $(cat "$tmp/eval.json")"

# Two runs with the same seed give the same weights.
./vov train "$tmp/net.cfg" "$tmp/c.data" --out "$tmp/again" --threads 2 >/dev/null 2>&1
cmp -s "$tmp/run/last.safetensors" "$tmp/again/last.safetensors" || fail "runs differ"

# Folders of classes, with and without splits.
./vov data draw -q "$tmp/drawn" --images 10 --size 64 >/dev/null
pictures=$(find "$tmp/drawn" -name '*.jpg' -o -name '*.png' | sort | head -n 6)
n=0
for p in $pictures; do
    for split in train val; do
        mkdir -p "$tmp/split/$split/class$((n % 2))"
        cp "$p" "$tmp/split/$split/class$((n % 2))/"
    done
    n=$((n + 1))
done
./vov train "$tmp/net.cfg" "$tmp/split" --out "$tmp/two" --set net.classes=2 --set net.batch=3 \
    --set net.max_batches=2 >"$tmp/log" 2>&1
grep -q '^train: 6 pictures of 2 classes' "$tmp/log" || fail "folders of classes are not read"
./vov eval "$tmp/net.cfg" "$tmp/two/last.safetensors" "$tmp/split/val" --set net.classes=2 |
    grep -q 'top-1' || fail "a folder without splits is not measured"

./vov data check "$tmp/c.data" >"$tmp/log" 2>&1 || fail "data check: $(cat "$tmp/log")"
[ "$(grep -c 'pictures of 10 classes' "$tmp/log")" = 2 ] || fail "data check counts no pictures"
./vov data check "$tmp/split" >"$tmp/log" 2>&1 || fail "data check: $(cat "$tmp/log")"
[ "$(grep -c '6 pictures of 2 classes' "$tmp/log")" = 2 ] || fail "data check finds no splits"
grep -q '6 twins' "$tmp/log" || fail "data check finds no twins"

# How much the layers of a block make of each other, as numbers and as a picture.
cat >"$tmp/osa.cfg" <<'EOF'
[net]
width=16
height=16
classes=10
mean=128
std=64
crop=0
batch=10
max_batches=2
[osa]
layers=2
width=4
out=8
[global_avgpool]
[connected]
activation=linear
[softmax]
EOF
./vov train -q "$tmp/osa.cfg" "$tmp/c.data" --out "$tmp/osa" >/dev/null 2>&1
./vov inspect --connections "$tmp/osa.cfg" "$tmp/osa/last.safetensors" --out "$tmp/map" >"$tmp/log"
[ "$(grep -c '^  conv[12] .*1\.00' "$tmp/log")" = 2 ] || fail "no chain: $(cat "$tmp/log")"
[ "$(head -c 4 "$tmp/map.png" | tail -c 3)" = PNG ] || fail "no PNG"
grep -q '</svg>' "$tmp/map.svg" || fail "no SVG"
wide=$(sed -n 's/^<svg .* width="\([0-9]*\)" .*/\1/p' "$tmp/map.svg")
[ "$wide" -ge 975 ] || fail "the line of 120 letters under the map is cut off: $wide pixels"
./vov inspect "$tmp/osa.cfg" "$tmp/osa/last.safetensors" --json | grep -q '"name":"osa1/mix/weight"' ||
    fail "inspect lists no tensors"

# refuses CODE TEXT COMMAND...: it ends with that code and says that.
refuses() {
    want=$1 text=$2 code=0
    shift 2
    "$@" >"$tmp/log" 2>&1 || code=$?
    [ "$code" = "$want" ] || fail "exit code $code, not $want: $* ($(cat "$tmp/log"))"
    grep -q "$text" "$tmp/log" || fail "does not say \"$text\": $(cat "$tmp/log")"
}
refuses 3 'a detector, but' ./vov train tests/cli/tiny.cfg "$tmp/c.data" --out "$tmp/x" \
    --set net.classes=10
refuses 3 'a classifier, but' ./vov train "$tmp/net.cfg" "$tmp/drawn/train.json" --out "$tmp/x"
refuses 3 'made for 10: train with --set' ./vov train "$tmp/net.cfg" "$tmp/split" --out "$tmp/x"
head -c 4000 "$tmp/a.bin" >"$tmp/cut.bin"
printf 'train = cut.bin\n' >"$tmp/cut.data"
refuses 4 'no layer reads' ./vov inspect --connections "$tmp/net.cfg" "$tmp/run/last.safetensors"
refuses 4 'no whole number of records' ./vov train "$tmp/net.cfg" "$tmp/cut.data" --out "$tmp/x"
printf 'train = none.bin\n' >"$tmp/none.data"
refuses 4 'none.bin' ./vov train "$tmp/net.cfg" "$tmp/none.data" --out "$tmp/x"
mkdir "$tmp/empty"
refuses 4 'expected a folder of JPEG or PNG' ./vov train "$tmp/net.cfg" "$tmp/empty" --out "$tmp/x"
echo "classify.sh: all as expected"
