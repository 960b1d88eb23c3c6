#!/bin/sh
# vov show: totals, JSON of exact integers, overrides, sizes, the plans' bounds.
set -eu

fail()
{
    echo "$1" >&2
    exit 1
}

# The number that a key of the top level has; layers come after them all.
value()
{
    printf '%s' "$json" | sed -n "s/.*\"$1\":\([0-9]*\)[,}].*/\1/p" | head -n 1
}

equal()
{
    [ "$1" = "$2" ] || fail "$3: $1, not $2"
}

json=$(./vov show cfg/backbone/vovnet39.cfg --json | head -n 1)
equal "$(value params)" 22600296 params
equal "$(value madds)" 7765860352 madds
equal "$(value mac)" 39772456 mac
equal "$(value bn_elements)" 7937216 bn_elements
equal "$(value activation_bytes)" 31752864 activation_bytes
equal "$(value sections)" 12 sections

# Planned activations of one 320x320 picture: at most 26 and 140 MiB.
json=$(./vov show cfg/backbone/vovnet39-code.cfg --size 320x320 --json | head -n 1)
inference=$(printf '%s' "$json" | sed 's/.*"plan_bytes":{"inference":\([0-9]*\).*/\1/')
training=$(printf '%s' "$json" | sed 's/.*"training":\([0-9]*\)}.*/\1/')
[ "$inference" -gt 15000000 ] || fail "inference plan: $inference"
[ "$inference" -le $((26 * 1048576)) ] || fail "inference plan: $inference"
[ "$training" -gt "$inference" ] || fail "training plan: $training"
[ "$training" -le $((140 * 1048576)) ] || fail "training plan: $training"
text=$(./vov show cfg/backbone/vovnet39-code.cfg --size 320 --memory)
printf '%s' "$text" | grep -q "^inference  plan for a batch of 1: " || fail "no inference plan"
printf '%s' "$text" | grep -q " $inference bytes of activations" || fail "plan and JSON differ"
printf '%s' "$text" | grep -q " $training bytes of activations" || fail "plan and JSON differ"

# A batch changes the plans and not the costs.
json=$(./vov show cfg/cifar/osa5x43.cfg --batch 3 --json | head -n 1)
equal "$(value madds)" 263710866 "madds of a batch"
equal "$(value batch)" 3 batch

json=$(./vov show cfg/backbone/vovnetv2-39.cfg --set osa.ese=all --set connected.output=10 \
    --set net.classes=10 --json | head -n 1)
equal "$(value params)" $((26209128 - 990 * 1025)) "params with overrides"

# The layers' own figures sum to the totals.
./vov show cfg/cifar/densenet40.cfg --json | tail -n +2 | awk '
    match($0, /"params":[0-9]+/) { p += substr($0, RSTART + 9, RLENGTH - 9) }
    match($0, /"madds":[0-9]+/) { m += substr($0, RSTART + 8, RLENGTH - 8) }
    match($0, /"mac":[0-9]+/) { a += substr($0, RSTART + 6, RLENGTH - 6) }
    END { exit !(p == 1019722 && m == 264812928 && a == 3684442) }' || fail "sums of layers"

for size in 0 320x 320x0 axb 99999x1 -3x3; do
    status=0
    ./vov show cfg/cifar/osa5x43.cfg --size="$size" >/dev/null 2>&1 || status=$?
    equal "$status" 2 "--size $size"
done

# Every cfg can be shown.
for cfg in cfg/*/*.cfg; do
    ./vov show "$cfg" >/dev/null || fail "$cfg"
done
