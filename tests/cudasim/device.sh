#!/bin/sh
# The CUDA backend on the simulated GPU beside the plain loops: every op case of tests/ops, forward
# and backward, on slices, with tensors of 32 and of 16 bits; a whole detector, trained and run; runs
# in fp16 and bf16; and calls of CUDA's libraries that fail. Blocks go in three orders.
set -eu
[ -e "$VOV_BUILD/cusim/libvov_cuda.so" ] || { echo "no nvcc"; exit 77; }
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
export LD_LIBRARY_PATH="$VOV_BUILD/cusim" VOV_TEST_DEVICE=cuda CK_DEFAULT_TIMEOUT=600

# One line for each run: order, numbers and program. What fails leaves its output in a file.
for program in test_device_failing test_device test_device_precision; do
    echo "forward fp32 $VOV_BUILD/tests/net/$program"
done >"$t/runs"
for how in 'forward fp32' 'reversed fp32' 'random:1 fp32' 'forward fp16' 'reversed bf16'; do
    for source in tests/ops/test_*.c; do
        echo "$how $VOV_BUILD/${source%.c}"
    done
done >>"$t/runs"
# shellcheck disable=SC2016 # the inner shell expands it
xargs -L 1 -P 2 sh -c '
    out=$(mktemp "$0/XXXXXX")
    [ "$2" = fp32 ] || export VOV_TEST_NUMBER="$2"
    if CUSIM_ORDER=$1 "$3" >"$out" 2>&1; then
        rm "$out"
    else
        echo "$3, blocks $1, $2:" >>"$out"
    fi' "$t" <"$t/runs"
wc -l <"$t/runs"
rm "$t/runs"
[ -z "$(ls "$t")" ] || { tail -n 20 "$t"/*; exit 1; }
