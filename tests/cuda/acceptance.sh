#!/bin/sh
# scripts/gpu-acceptance: without a GPU one line says so; all of its steps are there and find their files;
# on the simulated GPU every step of a short run passes; where calls fail, the report names the steps and
# the others still run.
set -eu
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
fail() {
    echo "$1"
    tail -n 30 "$t/report" "$t/out"
    exit 1
}
# accept EXIT_CODE
accept() {
    status=0
    scripts/gpu-acceptance --short --no-build "$t/report" >"$t/out" 2>&1 || status=$?
    [ "$status" -eq "$1" ] || fail "exit code $status, not $1"
}

status=0
scripts/gpu-acceptance --quick 2>/dev/null || status=$?
[ "$status" -eq 2 ] || fail "exit code $status of a wrong option"
if ! ./vov doctor --json | grep -q '"devices": \[{'; then
    accept 7
    [ "$(grep -c '^no GPU: .' "$t/report")" -eq 1 ] || fail "no reason"
fi

# All steps, of a program and tests that do nothing but look for the files that they are given.
whole=$t/whole
mkdir -p "$whole/scripts" "$whole/build/tests/ops" "$whole/build/tests/net"
cp scripts/gpu-acceptance "$whole/scripts"
ln -s "$PWD/tests" "$PWD/cfg" "$whole"
cat >"$whole/vov" <<'STUB'
#!/bin/sh
for word; do
    case $word in *.cfg) [ -e "$word" ] || exit 1 ;; esac
done
case "$*" in
*doctor\ --json) echo '"devices": [{"architecture": "8.0"}, {"architecture": "9.0"}]' ;;
*bench\ *) echo '{}' >"$word" ;;
esac
STUB
chmod +x "$whole/vov"
for source in tests/ops/test_*.c tests/net/test_device*.c; do
    ln -s "$whole/vov" "$whole/build/${source%.c}"
done
(cd "$whole" && VOV_BUILD=build scripts/gpu-acceptance --no-build report >"$t/out") ||
    { cp "$whole/report" "$t/report"; fail "a step of all fails"; }
for source in tests/ops/test_*.c; do
    for number in '' ' fp16' ' bf16'; do
        grep -qx "== ops: $(basename "$source" .c)$number" "$whole/report" || fail "no $source$number"
    done
done
for step in 'nets: test_device' 'nets: test_device_precision' 'nets: test_device_pixels' \
    'demo: train' 'demo: train on two' 'Table 2' 'Table 4'; do
    grep -qx "== $step" "$whole/report" || fail "no step $step of all"
done
grep -q '^\$ bench .*/refinedet320-vovnet39.cfg' "$whole/report" || fail "Table 4 has no VoVNet-39"

[ -e "$VOV_BUILD/cusim/libvov_cuda.so" ] || { echo "no nvcc: not run on the simulated GPU"; exit 77; }
export LD_LIBRARY_PATH="$VOV_BUILD/cusim" CUSIM_DEVICES=2
if ! ./vov doctor --json | grep -q '"devices": \[{'; then
    echo "no simulated GPU: $(./vov doctor | grep '^cuda ')"
    exit 77
fi
accept 0
for step in machine 'ops: test_act' 'ops: test_act fp16' 'ops: test_act bf16' 'demo: draw' 'demo: train' \
    'demo: train on two' 'Table 2'; do
    grep -qx "== $step" "$t/report" || fail "no step $step"
    grep -q "^$step \.\.\. ok" "$t/out" || fail "$step is not ok"
done
grep -qx 'all steps passed' "$t/report" || fail "not passed"
grep -q '"device": *"cuda' "$t/report" || fail "no figures"
export CUSIM_COMPUTE=75 # has no bf16
export CUSIM_FAIL=20 # while the device is opened: the later ones may be a plan that has a second choice
accept 1
grep -q '^failed:.* ops: test_act' "$t/report" || fail "no step failed"
grep -q '^== Table 2' "$t/report" || fail "the last step did not run"
! grep -q '^== ops: test_act bf16' "$t/report" || fail "bf16 on a GPU that has none"
