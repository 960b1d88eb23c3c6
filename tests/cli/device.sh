#!/bin/sh
# --device: the processor always, a GPU that is not there by exit code 7, and names that are none.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
    echo "$1"
    exit 1
}

# run STATUS OPTION...: detect with them on weights that are not there (exit code 4 once it asks).
run() {
    want=$1
    shift
    status=0
    ./vov detect tests/cli/tiny.cfg "$dir/none.safetensors" "$dir/none.png" "$@" 2>"$dir/err" ||
        status=$?
    [ "$status" -eq "$want" ] || fail "$*: exit code $status, not $want: $(cat "$dir/err")"
}

run 4 --device cpu
run 4 --device auto
run 4
run 7 --device cuda:1000
grep -q '^error: CUDA: .*; device cpu needs no GPU$' "$dir/err" || fail "$(cat "$dir/err")"
for name in gpu cuda: cuda:x cuda:-1 cuda:1x cuda:99999999999999999999 ''; do
    run 2 --device "$name"
    grep -q 'use cpu, cuda, cuda:N (from 0) or auto' "$dir/err" || fail "$(cat "$dir/err")"
done
# The first GPU: there, or one line that says what is missing.
status=0
./vov eval tests/cli/tiny.cfg "$dir/none.safetensors" "$dir/none.json" --device cuda 2>"$dir/err" ||
    status=$?
[ "$status" -eq 4 ] || [ "$status" -eq 7 ] || fail "cuda: exit code $status"
[ "$(wc -l <"$dir/err")" -eq 1 ] || fail "cuda: $(cat "$dir/err")"

# Several devices share each batch of a training run: the same losses; which kinds, how many parts.
./vov data draw -q "$dir/set" --images 12 --size 64 --classes 4
# train STATUS DEVICES OPTION...
train() {
    want=$1 devices=$2
    shift 2
    status=0
    ./vov train -q tests/cli/tiny.cfg "$dir/set/drawn.data" --out "$dir/$devices" --epochs 2 \
        --device "$devices" --threads 1 --seed 5 --set net.batch=4 --set net.learning_rate=1e-3 \
        "$@" 2>"$dir/err" || status=$?
    [ "$status" -eq "$want" ] || fail "$devices: exit code $status, not $want: $(cat "$dir/err")"
}
losses() {
    sed -n 's/^{"iteration":\([0-9]*\),.*"loss":\([0-9]*\.[0-9]\).*/\1 \2/p' "$dir/$1/metrics.jsonl"
}
train 0 cpu --set net.subdivisions=2
train 0 cpu,cpu --set net.subdivisions=2
[ "$(losses cpu | wc -l)" -eq 4 ] || fail "$(losses cpu)"
[ "$(losses cpu)" = "$(losses cpu,cpu)" ] || fail "two devices: $(losses cpu,cpu), one: $(losses cpu)"
train 3 cpu,cpu,cpu --set net.subdivisions=2
grep -q '3 devices cannot share a batch that is computed in 2 parts' "$dir/err" || fail "$(cat "$dir/err")"
train 2 cpu,cuda
grep -q 'must be of one kind' "$dir/err" || fail "$(cat "$dir/err")"

# What there is, for people and for programs.
./vov doctor >"$dir/text"
grep -q '^cpu  *.* threads' "$dir/text" || fail "doctor: $(cat "$dir/text")"
grep -Eq '^openblas  *(there|not there)' "$dir/text" || fail "doctor: $(cat "$dir/text")"
grep -Eq '^cuda  *(not available: |runtime )' "$dir/text" || fail "doctor: $(cat "$dir/text")"
./vov doctor --json >"$dir/json"
for key in program os cpu kernels openblas memory_bytes cuda driver cudnn devices energy; do
    grep -q "\"$key\": " "$dir/json" || fail "doctor --json has no $key: $(cat "$dir/json")"
done
