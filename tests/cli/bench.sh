#!/bin/sh
# vov bench: figures that agree with each other and with vov show, stages, layers, comparisons and
# their refusal, energy from made-up counters, drawings, exit codes.
set -eu
t=$(mktemp -d)
burning=
trap 'kill $burning 2>/dev/null || true; rm -rf "$t"' EXIT
fail() {
    echo "$1"
    cat "$t/out" "$t/err"
    exit 1
}

# run EXIT_CODE ARGUMENT... - a short measurement; its output is in $t/out and $t/err
run() {
    want=$1
    shift
    status=0
    ./vov bench --time 0.1 --warmup 0.05 "$@" >"$t/out" 2>"$t/err" || status=$?
    [ "$status" -eq "$want" ] || fail "vov bench $*: exit code $status, not $want"
}
has() { grep -qF -- "$2" "$t/$1" || fail "$1 lacks: $2"; }
# number KEY FILE - the first one under that key
number() { grep -o "\"$1\":[-+0-9.e]*" "$2" | head -n 1 | cut -d : -f 2; }
# true_of EXPRESSION - of awk
true_of() { awk "BEGIN { exit !($1) }" || fail "not true: $1"; }

osa=cfg/cifar/osa5x43.cfg dense=cfg/cifar/densenet40.cfg tiny=tests/cli/tiny.cfg

# JSON on standard output and nothing else there; costs are those of vov show.
run 0 $osa --json - -q
if grep -qv '^warning' "$t/err"; then
    fail "-q says something"
fi
cp "$t/out" "$t/one.json"
[ "$(number params "$t/one.json")" = 1168131 ] || fail params
[ "$(number madds "$t/one.json")" = 263710866 ] || fail madds
[ "$(number flops "$t/one.json")" = 527421732 ] || fail flops
[ "$(number paper_flops "$t/one.json")" = 264409234 ] || fail "paper's FLOPs"
[ "$(number mac "$t/one.json")" = 2594490 ] || fail mac
shown=$(./vov show $osa --json | sed -n 's/.*"activation_bytes":\([0-9]*\).*/\1/p')
[ "$(number activation_bytes "$t/one.json")" = "$shown" ] || fail activation_bytes
[ "$(number peak_bytes "$t/one.json")" -gt $((4 * 1168131)) ] || fail peak_bytes
has out '"config":"cfg/cifar/osa5x43.cfg"'
has out '"energy":{"j_per_image":null,"reason":"not measured: --energy was not given"}'
for key in threads batch latency_ms p50 p90 p95 p99 min mean images_per_s gflops; do
    has out "\"$key\":"
done

# Rates follow from the median.
p50=$(number p50 "$t/one.json") per_s=$(number images_per_s "$t/one.json")
true_of "$per_s * $p50 > 999.9 && $per_s * $p50 < 1000.1"
true_of "$(number gflops "$t/one.json") / ($per_s * 527421732e-9) - 1 < 1e-6"
true_of "$(number min "$t/one.json") <= $p50 && $p50 <= $(number p99 "$t/one.json")"

# Two configs take turns; a line of CSV and an object for each, all with a value for each name.
run 0 $osa $dense --threads 1 --batch 2 --json "$t/two.json" --csv "$t/two.csv"
has out '| osa5x43'
has out '| densenet40'
has out 'images/s against osa5x43'
has out '1 thread, inference of a batch of 2'
has err 'round 4 of 4'
[ "$(grep -c '"schema":"vov.bench/1"' "$t/two.json")" = 2 ] || fail "objects"
awk -F , 'NR == 1 { n = NF } NF != n || NR > 3 { exit 1 } END { exit NR != 3 }' "$t/two.csv" ||
    fail "CSV"

# Every layer, and no more time in all of them than a run has.
run 0 $dense --layers --threads 1 --json "$t/layers.json"
has out '| algorithm '
layers=$(./vov show $dense --json | grep -c '"mac"')
shown=$(grep -c '"gbytes_per_s"' "$t/layers.json")
[ "$shown" -gt 40 ] && [ "$shown" -le "$layers" ] || fail "$shown layers of $layers"
sum=$(sed -n 's/.*"ms":\([0-9.e+-]*\),"backward_ms.*/\1/p' "$t/layers.json" |
    awk '{ s += $1 } END { print s }')
true_of "$sum > 0 && $sum < 1.05 * $(number max "$t/layers.json")"

# A detector goes from files to boxes; training has other stages, and layers both ways.
run 0 $tiny --json "$t/tiny.json"
for stage in decode preprocess backbone head post total; do
    has out " $stage "
done
run 0 $tiny --train --batch 2 --layers --samples --json "$t/train.json"
for stage in forward backward update total 'backward ms'; do
    has out " $stage "
done
has out 'training steps of a batch of 2'
grep -q '"mode":"train"' "$t/train.json" || fail "no mode"
runs=$(number runs "$t/train.json")
samples=$(sed -n 's/.*"samples_ms":\[\([^]]*\)\].*/\1/p' "$t/train.json" | tr , '\n' | wc -l)
[ "$runs" -eq "$samples" ] || fail "$runs runs, $samples samples"

# Against an earlier run, and the refusal where it was another kind of run.
run 0 $osa --against "$t/one.json"
has out 'p50 ms then'
has out '| osa5x43'
for other in '--batch 2' '--threads 1' '--size 64'; do
    # shellcheck disable=SC2086 # two words
    run 2 $osa --threads 2 --against "$t/one.json" $other
    has err "not comparable with $t/one.json"
done
run 0 $osa --threads 2 --against "$t/one.json" --batch 2 --force
has err 'compared although it is a batch of 1 then and of 2 now'
run 0 $dense --against paper
has err 'the paper has nothing about densenet40'
printf '[{"config":"a.cfg"}]' >"$t/bad.json"
run 4 $osa --against "$t/bad.json"
has err 'vov bench --json'
printf '{}' >"$t/bad.json"
run 4 $osa --against "$t/bad.json"
run 4 $osa --against "$t/none.json"

# The paper's rows are for pictures of 320x320, one at a time.
refine=cfg/detect/refinedet320-vovnet39.cfg
run 0 $refine --size 64 --against paper --force
has out 'TITAN X Pascal'
has out '| without --energy |'
has err 'an input of 320x320 then and of 64x64 now'
grep -q '| params M *| *56.28 *| *56.28 *|' "$t/out" || fail "the paper's parameters"

# Energy: the reason where there is none; joules of a made-up CPU of 20 W and of a GPU of 50 W.
run 0 $osa --energy --powercap "$t/nothing" --json "$t/energy.json"
has out 'energy of the CPU not readable: '
has out 'sudo modprobe intel_rapl_msr'
grep -q '"energy":{"j_per_image":null,"reason":"not readable: ' "$t/energy.json" || fail "no reason"
mkdir -p "$t/cap/intel-rapl:0"
echo package-0 >"$t/cap/intel-rapl:0/name"
echo 1000000000 >"$t/cap/intel-rapl:0/max_energy_range_uj"
echo 0 >"$t/cap/intel-rapl:0/energy_uj"
(
    # Time from the kernel, 20 microjoules for each microsecond; ends with its parent.
    while [ -d "$t/cap" ]; do
        awk '{ printf "%d\n", $1 * 20e6 % 1e9 }' /proc/uptime >"$t/cap/new" 2>/dev/null &&
            mv "$t/cap/new" "$t/cap/intel-rapl:0/energy_uj" 2>/dev/null || exit 0
        sleep 0.02
    done
) &
burning=$!
sleep 0.1
run 8 $osa --energy --idle 0.4 --time 1.6 --powercap "$t/cap" --strict --json "$t/energy.json"
has out 'J/image'
has out 'energy was measured for'
watts=$(number watts "$t/energy.json")
true_of "$watts > 14 && $watts < 26"
joules=$(sed -n 's/.*"energy":{"j_per_image":\([0-9.e+-]*\),.*/\1/p' "$t/energy.json")
true_of "$joules > 0 && $joules < $watts * $(number mean "$t/energy.json") * 1.5e-3"
kill $burning
rm -r "$t/cap"
run 0 $osa --energy --idle 0.4 --time 0.8 --powercap "$t/nothing" --energy-method counter \
    --nvml "${VOV_BUILD:-build/release}/tests/stub/nvml.so" --json "$t/energy.json"
has out 'nvml counter'
watts=$(number watts "$t/energy.json")
true_of "$watts > 35 && $watts < 65"
run 2 $osa --energy-method guess
has err 'rapl, counter or sample100'

# Drawings in both forms, and in the one that is asked for.
run 0 $osa $dense --plot "$t/plot"
head -c 4 "$t/plot.png" | grep -q PNG || fail "no PNG"
grep -q '^<svg ' "$t/plot.svg" || fail "no SVG"
grep -q '>densenet40</text>' "$t/plot.svg" || fail "no mark for densenet40"
run 0 $tiny --plot "$t/only.svg"
[ ! -e "$t/only.svg.png" ] || fail "a PNG that nobody wanted"

# Exit codes: unstable with --strict, and mistakes.
run 8 $osa --threads 3 --strict
has out 'unstable: 3 threads on '
run 3 /no/such.cfg
run 2 $osa --batch 0
run 2 $osa --size 0x3
run 1 $osa --json "$t/no/folder/x.json"
run 1 $osa --plot "$t/no/folder/x"
! grep -q 'round 1' "$t/err" || fail "a folder that is missing is found after measuring"
run 2 $osa --json - --csv -
run 4 $osa --weights "$t/one.json"
