#!/bin/sh
# The CUDA backend on the simulated GPU beside the plain loops: every op case of tests/ops, forward
# and backward, on slices, with tensors of 32 and of 16 bits; whole detectors, trained and run, and on
# two GPUs in turn; runs in fp16 and bf16; and calls of CUDA's libraries that fail. Blocks go in three
# orders, of the detectors' training too.
set -eu
[ -e "$VOV_BUILD/cusim/libvov_cuda.so" ] || { echo "no nvcc"; exit 77; }
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
export LD_LIBRARY_PATH="$VOV_BUILD/cusim" VOV_TEST_DEVICE=cuda CK_DEFAULT_TIMEOUT=600
export CUSIM_DEVICES=2 VOV_TEST_SECOND=cuda:1

# One line for each run: order, numbers, program, and which of its cases. The longest come first.
ways='forward,fp32 reversed,fp32 random:1,fp32 forward,fp16 reversed,bf16'
for program in test_device_failing test_device test_device_precision test_device_calls \
    test_device_pixels; do
    echo "forward fp32 $VOV_BUILD/tests/net/$program"
done >"$t/runs"
for order in reversed random:1; do
    echo "$order fp32 $VOV_BUILD/tests/net/test_device training"
done >>"$t/runs"
for way in $ways; do
    for source in tests/ops/test_*.c; do
        echo "$way $VOV_BUILD/${source%.c}" | tr , ' '
    done
done >>"$t/runs"
# shellcheck disable=SC2016 # the inner shell expands it
xargs -L 1 -P 2 sh -c '
    out=$0/$(basename "${3%/*}")-$1-$2-${3##*/}
    [ "$2" = fp32 ] || export VOV_TEST_NUMBER="$2"
    [ $# -lt 4 ] || export CK_RUN_CASE="$4"
    if CUSIM_ORDER=$1 "$3" >"$out" 2>&1; then
        mv "$out" "$out.ok"
    else
        echo "$3, blocks $1, $2:" >>"$out"
    fi' "$t" <"$t/runs"
rm "$t/runs"
bad=$(find "$t" -type f ! -name '*.ok')
if [ -n "$bad" ]; then
    echo "$bad" | xargs tail -n 20
    exit 1
fi

# cases FILE...: the sum of what Check counted.
cases() {
    cat "$@" | awk -F 'Checks: ' 'NF > 1 { n += $2 } END { print n }'
}
echo "count $(cases "$t"/ops-forward-fp32-*) op cases, $(cases "$t"/ops-*) runs of one ($ways)"
grep '^count' "$t/net-forward-fp32-test_device_failing.ok"
