#!/bin/sh
# What ptxas says of the backend's kernels: no local memory, no spills, nothing in double precision,
# and no more registers than tests/cuda/registers.txt allows; and that the check finds kernels which
# break these rules.
set -eu
nvcc=${NVCC:-${CUDA_HOME:-/usr/local/cuda}/bin/nvcc}
[ -x "$nvcc" ] || { echo "no nvcc at $nvcc"; exit 77; }
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
fail() {
    echo "$1"
    cat "$t/said"
    exit 1
}
# said TEXT - in one line of what the check said
said() { grep -q "$1" "$t/said" || fail "check-ptxas does not say '$1', but:"; }

"$nvcc" -O3 -gencode arch=compute_80,code=sm_80 -Xptxas -v,-warn-double-usage -c -o "$t/o" \
    tests/cuda/planted.cu 2>"$t/ptxas"
cat >"$t/limits" <<LIST
255 good
255 in_double
255 in_local_memory
255 spills
40 frame reversed
255 gone
LIST
if scripts/check-ptxas "$t/limits" "$t/ptxas" >"$t/said"; then
    fail "nothing of tests/cuda/planted.cu was noticed"
fi
said 'line [0-9]*; warning *: Program is doing double precision computations'
said 'sm_80: in_local_memory.*: [1-9][0-9]* bytes of local memory, 0 bytes of spills'
said 'sm_80: spills.*, [1-9][0-9]* bytes of spills written, [1-9][0-9]* read'
said 'sm_80: .*frame<reversed<float> >.*: [0-9]* registers; 40 are the limit'
said 'gone: has a limit .* and is no kernel'
said '^5 kernels for 1 architectures$'
! grep -q 'good' "$t/said" || fail "what is good was found bad"
grep -v good "$t/limits" >"$t/fewer"
! scripts/check-ptxas "$t/fewer" "$t/ptxas" >"$t/said" || fail "a kernel needs no limit"
said 'good: no limit in '
! scripts/check-ptxas "$t/limits" /dev/null >"$t/said" || fail "no kernels are fine"
said 'nothing of ptxas'

# The kernels as they were built for the simulator, and for all architectures where that is new.
scripts/check-ptxas tests/cuda/registers.txt "$VOV_BUILD"/cusim/cuda/*.ptxas
for log in "$VOV_BUILD"/cuda/*.cu.o.ptxas; do
    source=cuda/$(basename "$log" .o.ptxas)
    if [ ! -e "$log" ] || [ -n "$(find "$source" -newer "$log")" ]; then
        echo "one architecture; make check-cuda builds the others, which $source is newer than"
        exit 0
    fi
done
scripts/check-ptxas tests/cuda/registers.txt "$VOV_BUILD"/cuda/*.cu.o.ptxas
