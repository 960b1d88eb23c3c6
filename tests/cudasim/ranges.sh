#!/bin/sh
# What a profiler sees through NVTX: passes, their directions and all nodes, opened and closed in
# pairs; of recorded passes the nodes twice, as they run and as they are recorded.
set -eu
export LD_LIBRARY_PATH="$VOV_BUILD/cusim"
[ -e "$VOV_BUILD/cusim/libranges.so" ] || { echo "no nvcc"; exit 77; }
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
cp "$VOV_BUILD/vov" "$t/vov" # away from the production plug-in
fail() {
    echo "$1"
    sed 20q "$t/ranges"
    exit 1
}

"$t/vov" data draw -q "$t/set" --images 8 --size 64 --classes 4
printf 'train = train.json\nimages = images\n' >"$t/set/train.data"
updates=3
# train NAME [VARIABLE=VALUE]: ranges in $t/ranges
train() {
    out=$t/$1
    shift
    env VOV_TEST_RANGES="$t/ranges" NVTX_INJECTION64_PATH="$VOV_BUILD/cusim/libranges.so" "$@" \
        "$t/vov" train -q tests/cli/tiny.cfg "$t/set/train.data" --out "$out" --device cuda \
        --threads 1 --set net.batch=2 --epochs 1 --seed 1 >"$t/said" 2>&1 ||
        { cat "$t/said"; exit 1; }
}
# opened N TEXT: that TEXT is opened, with the spaces of its depth, so often
opened() {
    n=$(grep -c -x -- "$2" "$t/ranges") || :
    [ "$n" = "$1" ] || fail "'$2' is opened $n times, not $1"
}
# nodes N: each node of the net, but for what it finds, is opened in so many forward passes
nodes() {
    awk '/^ [^ ]/ { forward = $1 == "forward" } forward && /^  [^ ]/ { print $1 }' "$t/ranges" |
        sort | uniq -c | awk '{ print $2, $1 }' >"$t/seen"
    "$VOV_BUILD/vov" show tests/cli/tiny.cfg | awk 'NF == 0 { exit } NR > 1 && $1 !~ /found$/ { print $1 }' >"$t/nodes"
    [ "$(wc -l <"$t/nodes")" -gt 20 ] || fail "vov show lists few nodes"
    while read -r name; do
        grep -q -x "$name $1" "$t/seen" ||
            fail "node $name: seen $(grep "^$name " "$t/seen"), not in $1 passes"
    done <"$t/nodes"
}

for way in 0 1; do
    train "way$way" VOV_UNRECORDED=$way
    [ "$(tail -n 1 "$t/ranges")" = "0 left open, 0 closed too often" ] || fail "$(tail -n 1 "$t/ranges")"
    passes=$updates
    [ $way = 1 ] || passes=2
    opened $updates 'training pass'
    opened $updates update
    opened $passes ' forward'
    opened $passes ' backward'
    nodes $passes
done
cmp "$t/way0/last.safetensors" "$t/way1/last.safetensors" || fail "recordings give other bits"
