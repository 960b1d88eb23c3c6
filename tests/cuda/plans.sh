#!/bin/sh
# Convolutions of all configs, forward, data and filter gradient, put to the real cuDNN for seven GPUs
# that are not here: a plan for each, with tensors of 32 bits and of 16. This is a sample;
# `make check-cuda-plans` asks for all.
set -eu
[ -x "$VOV_BUILD/tests/cuda/plans" ] || { echo "no cuDNN to link to"; exit 77; }
export LSAN_OPTIONS=suppressions=tests/cuda/leaks.supp:print_suppressions=0
"$VOV_BUILD/tests/cuda/plans" -e 400 cfg/*/*.cfg cfg/demo.cfg
"$VOV_BUILD/tests/cuda/plans" -e 400 -s net.precision=fp16 cfg/*/*.cfg cfg/demo.cfg
