#!/bin/sh
# The program as users have it on the simulated GPU: what it says of it, trains, finds and refuses.
# With the plug-in that `make CUDA=1` built where there is one, else with the simulator's.
set -eu
export LD_LIBRARY_PATH="$VOV_BUILD/cusim"
[ -e "$VOV_BUILD/cusim/libvov_cuda.so" ] || { echo "no nvcc"; exit 77; }
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
vov=$VOV_BUILD/vov
plugin=$VOV_BUILD/libvov_cuda.so
production=0
if [ -e "$plugin" ] && [ -z "$(find cuda src/backend src/base -name '*.[ch]*' -newer "$plugin")" ]; then
    production=1
else
    cp "$vov" "$t/vov" # away from a plug-in that is out of date
    vov=$t/vov
fi
cfg=tests/cli/tiny.cfg
rcnn=tests/cli/tiny_rcnn.cfg

fail() {
    echo "$1"
    exit 1
}
# expect CODE COMMAND...: output in $t/out
expect() {
    want=$1
    shift
    code=0
    "$@" >"$t/out" 2>&1 || code=$?
    [ "$code" = "$want" ] || { cat "$t/out"; fail "exit $code, not $want: $*"; }
}
said() {
    grep -q -- "$1" "$t/out" || { cat "$t/out"; fail "not said: $1"; }
}

expect 0 "$vov" doctor
said '^cuda  *runtime '
expect 0 "$vov" data draw -q "$t/set" --images 12 --size 64 --classes 4
data=$t/set/drawn.data

# Two updates on the CPU and on the GPU, and what the weights of the first then find on both.
# both CFG NAME MORE...: MORE for detect
both() {
    net=$1 name=$2
    shift 2
    for device in cpu cuda; do
        expect 0 "$vov" train "$net" "$data" --out "$t/$name$device" --device $device --threads 1 \
            --seed 5 --set net.batch=4 --set net.learning_rate=1e-3 --epochs 1
        expect 0 "$vov" detect "$net" "$t/${name}cpu/last.safetensors" "$t/set/images/train" \
            --device $device --json "$t/$name$device.json" "$@"
    done
}
both $cfg "" --thresh 0.1
both $rcnn rcnn --thresh 0.05
# sum KEY FILE: how many there are, and their sum; near: of both devices, to one part in a thousand
sum() {
    grep -o "\"$1\": *[0-9.e-]*" "$2" | awk -F : '{ n++; s += $2 } END { print n + 0, s + 0 }'
}
near() {
    echo "$(sum "$1" "$t/$2") $(sum "$1" "$t/$3")" |
        awk '{ exit !($1 > 0 && $1 == $3 && ($2 - $4) ^ 2 < 1e-6 * $2 ^ 2) }' ||
        fail "$1: $(sum "$1" "$t/$2") on the CPU, $(sum "$1" "$t/$3") on the GPU"
}
near loss cpu/metrics.jsonl cuda/metrics.jsonl
near score cpu.json cuda.json
near loss rcnncpu/metrics.jsonl rcnncuda/metrics.jsonl
near score rcnncpu.json rcnncuda.json
grep -q '"counts"' "$t/rcnncuda.json" || fail "no masks in $t/rcnncuda.json"

# A batch shared by two GPUs.
for device in cpu cuda:0,cuda:1; do
    expect 0 env CUSIM_DEVICES=2 "$vov" train $cfg "$data" --out "$t/by-$device" --device $device --threads 1 --seed 5 \
        --set net.batch=4 --set net.subdivisions=2 --set net.learning_rate=1e-3 --epochs 1
done
near loss by-cpu/metrics.jsonl by-cuda:0,cuda:1/metrics.jsonl

# What cannot be had: exit code and reason.
expect 0 "$vov" detect $cfg "$t/cuda/last.safetensors" "$t/set/images/val" --device cuda:0 \
    --json "$t/0.json"
expect 7 "$vov" detect $cfg "$t/cuda/last.safetensors" "$t/set/images/val" --device cuda:1
said '^error: CUDA: there is no CUDA device 1; the last one is 0; device cpu needs no GPU$'
expect 7 env CUSIM_FAIL=1 "$vov" detect $cfg "$t/cuda/last.safetensors" "$t/set" --device cuda
said '^error: CUDA: no CUDA device: '
expect 7 env CUSIM_COMPUTE=75 "$vov" train $cfg "$data" --out "$t/old" --device cuda \
    --set net.precision=bf16
said 'precision=bf16 needs a GPU of .*, and this is GPU cusim of compute capability 7.5; '
expect 5 env CUSIM_MEMORY=64 "$vov" train $cfg "$data" --out "$t/big" --device cuda \
    --set net.batch=512
said 'at a time would fit'

echo "count $production production plug-in of make CUDA=1, run as it is"
