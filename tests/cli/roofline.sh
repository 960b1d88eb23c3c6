#!/bin/sh
# scripts/roofline: FLOPs of vov show, a floor that follows from the peaks, and fewer bytes in fp16.
set -eu
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
fail() {
    echo "$1"
    cat "$t/out"
    exit 1
}
cfg=cfg/backbone/vovnet27s.cfg
scripts/roofline --layers h100 $cfg >"$t/out"
madds=$(./vov show $cfg --json | sed -n 's/.*"params":[0-9]*,"madds":\([0-9]*\),.*"activation_bytes".*/\1/p')
awk -v madds="$madds" '/ GFLOP, / { for (i = 2; i <= NF; i++) if ($i == "GFLOP,") g = $(i - 1) }
    $2 > 0 && NF == 7 && $1 != "layer" { sum += $2; t = $4 > $7 ? $4 : $7; floor += t }
    /^fp32: / { ms = $4 }
    END { exit !(madds > 0 && g * 1e9 / (2 * madds) - 1 < 0.01 && g * 1e9 / (2 * madds) > 0.99 &&
                 sum / (g * 1e3) - 1 < 0.01 && floor / (ms * 1e3) < 1.01 && floor / (ms * 1e3) > 0.99) }' \
    "$t/out" || fail "the sums differ ($madds multiply-adds)"
wide=$(sed -n 's/^fp16: at least \([0-9.]*\) ms.*/\1/p' "$t/out")
scripts/roofline h100 $cfg 2 >"$t/out"
narrow=$(sed -n 's/^fp16: at least \([0-9.]*\) ms.*/\1/p' "$t/out")
awk "BEGIN { exit !($narrow < $wide && $narrow >= $wide / 2 - 0.001) }" || fail "16 bits: $narrow, not under $wide"
status=0
scripts/roofline abacus $cfg >"$t/out" 2>&1 || status=$?
[ "$status" -eq 2 ] || fail "exit code $status of a GPU that is none"
