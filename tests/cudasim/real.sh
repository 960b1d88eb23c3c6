#!/bin/sh
# A program that is linked to the real CUDA libraries runs on the simulator when the loader finds
# that first.
set -eu
program=$VOV_BUILD/tests/cudasim/real_library
[ -x "$program" ] || { echo "no CUDA libraries to link to"; exit 77; }
for compute in 80 75; do
    out=$(LD_LIBRARY_PATH=$VOV_BUILD/cusim CUSIM_COUNT=1 CUSIM_COMPUTE=$compute "$program" 2>&1)
    echo "$out"
    echo "$out" | grep -q '^cusim: [1-9][0-9]* calls$'
done
