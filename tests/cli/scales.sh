#!/bin/sh
# scales.sh - eval and detect with --scales and --flip: one size is the plain way to the bit, both
# commands find the same, what does not fit is said before the work.
set -eu
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
fail() {
    echo "scales.sh: $*" >&2
    exit 1
}
cfg=tests/cli/tiny.cfg
./vov data draw -q "$t/set" --images 10 --size 64 --classes 4
data=$t/set/drawn.data
./vov train $cfg "$data" --out "$t/run" --epochs 4 -q
w=$t/run/last.safetensors

# results FILE OPTIONS...: what eval writes, in numbers of every digit
results() {
    file=$1
    shift
    ./vov eval $cfg "$w" "$data" --batch 1 --coco "$t/$file" "$@" >"$t/log" 2>&1 ||
        fail "eval $*: $(cat "$t/log")"
}
results plain
results one --scales 64
cmp "$t/plain" "$t/one" || fail "one size without --flip differs from the plain evaluation"
results other --scales 96
results built --set net.width=96 --set net.height=96
cmp "$t/other" "$t/built" || fail "--scales 96 differs from width and height of 96"
results many --scales 64,96:-24,128/96 --flip
cmp -s "$t/plain" "$t/many" && fail "--scales and --flip change nothing"
./vov detect -q $cfg "$w" "$data" --thresh 0 --coco "$t/found" --scales 64,96:-24,128/96 --flip
cmp "$t/many" "$t/found" || fail "detect and eval differ"

# A picture that cannot be read: named, the others measured, exit code 4.
mkdir "$t/pictures"
find "$t/set/images" -type f | head -n 2 | while read -r p; do cp "$p" "$t/pictures/"; done
echo nonsense >"$t/pictures/broken.png"
code=0
./vov detect $cfg "$w" "$t/pictures" --json "$t/json" --scales 64,96 >"$t/log" 2>&1 || code=$?
[ "$code" = 4 ] || fail "exit code $code with a broken picture"
grep -q 'broken.png' "$t/log" || fail "a broken picture is not named"
grep -q '^2 pictures' "$t/log" || fail "not two pictures: $(cat "$t/log")"

# refused CODE TEXT OPTIONS...
refused() {
    want=$1
    text=$2
    shift 2
    code=0
    ./vov eval "$@" >"$t/log" 2>&1 || code=$?
    [ "$code" = "$want" ] || fail "exit code $code, not $want: $*"
    grep -q -- "$text" "$t/log" || fail "does not say \"$text\": $(cat "$t/log")"
}
refused 2 'not "64:9"' $cfg "$w" "$data" --scales 32,64:9
refused 2 'list the sizes' $cfg "$w" "$data" --scales refinedet
refused 3 'width=96' $cfg "$w" "$data" --scales 64,100
refused 2 'are for these' cfg/cifar/resnet20.cfg "$w" "$data" --flip
echo "scales.sh: all as expected"
