#!/bin/sh
# The CUDA backend on the simulated GPU beside the plain loops: every op case of tests/ops, forward
# and backward, on slices; a whole detector, trained and run; and calls of CUDA's libraries that fail.
# Blocks go in three orders.
set -eu
[ -e "$VOV_BUILD/cusim/libvov_cuda.so" ] || { echo "no nvcc"; exit 77; }
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
export LD_LIBRARY_PATH="$VOV_BUILD/cusim" VOV_TEST_DEVICE=cuda CK_DEFAULT_TIMEOUT=600

# One line for each run: the order and the program. What fails leaves its output in a file.
echo "forward $VOV_BUILD/tests/net/test_device_failing" >"$t/runs"
echo "forward $VOV_BUILD/tests/net/test_device" >>"$t/runs"
for order in forward reversed random:1; do
    for source in tests/ops/test_*.c; do
        echo "$order $VOV_BUILD/${source%.c}"
    done
done >>"$t/runs"
# shellcheck disable=SC2016 # the inner shell expands it
xargs -L 1 -P 2 sh -c '
    out=$(mktemp "$0/XXXXXX")
    if CUSIM_ORDER=$1 "$2" >"$out" 2>&1; then
        rm "$out"
    else
        echo "$2, blocks $1:" >>"$out"
    fi' "$t" <"$t/runs"
wc -l <"$t/runs"
rm "$t/runs"
[ -z "$(ls "$t")" ] || { tail -n 20 "$t"/*; exit 1; }
