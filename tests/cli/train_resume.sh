#!/bin/sh
# train_resume.sh - kill -9 at random moments, resume, and in the end the bits are those of a run that
# was never stopped: with a tiny net, and with that of the demo. Ctrl-C saves and exits with 130. Two
# runs never write into one folder.
set -eu
t=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || :; rm -rf "$t"' EXIT
fail() {
    echo "$1"
    exit 1
}

# stop SIGNAL: to the run in the background
stop() {
    kill "-$1" "$pid" 2>/dev/null || :
    code=0
    wait "$pid" 2>/dev/null || code=$?
    pid=
}

# killed NAME KILLS RUN...: RUN in one go, and with that many kills
killed() {
    name=$1 kills=$2
    shift 2
    "$@" --out "$t/$name-whole"
    while [ "$kills" -gt 0 ]; do
        "$@" --out "$t/$name" --resume 2>/dev/null &
        pid=$!
        sleep "0.$((1 + ($$ + kills * 5) % 8))"
        stop KILL
        kills=$((kills - 1))
    done
    "$@" --out "$t/$name" --resume 2>/dev/null
    cmp "$t/$name-whole/last.safetensors" "$t/$name/last.safetensors" || fail "$name: runs differ"
    [ "$(ls "$t/$name")" = "$(ls "$t/$name-whole")" ] || fail "$name left: $(ls "$t/$name")"
}

./vov data draw -q "$t/set" --images 30 --size 64 --classes 4
tiny="./vov train tests/cli/tiny.cfg $t/set/drawn.data --threads 1 --seed 9 -q"
killed tiny 5 $tiny --epochs 12
killed ema 3 $tiny --epochs 12 --set net.ema=0.99
./vov data draw -q "$t/demo-set" --images 20 --size 128 --classes 4
killed demo 4 ./vov train cfg/demo.cfg "$t/demo-set/drawn.data" --epochs 4 --seed 3 -q

$tiny --epochs 12 --out "$t/stopped" 2>/dev/null &
pid=$!
sleep 0.4
stop INT
[ $code = 130 ] || [ $code = 0 ] || fail "exit $code after SIGINT, not 130"
$tiny --epochs 12 --out "$t/stopped" --resume 2>/dev/null
cmp "$t/tiny-whole/last.safetensors" "$t/stopped/last.safetensors" || fail "after SIGINT they differ"

# --epochs that was forgotten: a run that was stopped does not end before its time unasked.
$tiny --epochs 4 --keep-every 2 --out "$t/kept"
cp "$t/kept/epoch-0002.safetensors" "$t/kept/last.safetensors"
code=0
$tiny --epochs 1 --out "$t/kept" --resume >"$t/said" 2>&1 || code=$?
[ $code = 2 ] || fail "exit $code at a forgotten --epochs, not 2"
grep -q 'stopped after iteration 6 of 12, and the run would end at 3: resume' "$t/said" || fail "$(cat "$t/said")"
$tiny --epochs 3 --out "$t/kept" --resume >"$t/said" 2>&1
grep -q 'the run was to end at iteration 12, and ends at 9 now' "$t/said" || fail "$(cat "$t/said")"

# A run goes on with another cfg, or for longer; the first is remarked.
$tiny --epochs 13 --out "$t/stopped" --resume >"$t/said" 2>&1
[ ! -s "$t/said" ] || fail "a longer run: $(cat "$t/said")"
$tiny --epochs 14 --out "$t/stopped" --resume --set net.decay=0.1 >"$t/said" 2>&1
grep -q 'the cfg said "decay=0.0005" when the run began, and says "decay=0.1" now' "$t/said" ||
    fail "another cfg: $(cat "$t/said")"

# A folder that a run writes into is no other run's, until that one has ended or was killed.
$tiny --epochs 10000 --out "$t/held" &
pid=$!
while [ ! -s "$t/held/last.safetensors" ]; do
    sleep 0.1
done
code=0
$tiny --epochs 10000 --out "$t/held" --resume >"$t/said" 2>&1 || code=$?
[ $code = 2 ] || fail "exit $code beside another run, not 2"
grep -q 'held is in use by another run' "$t/said" || fail "$(cat "$t/said")"
stop KILL
code=0
$tiny --epochs 10000 --out "$t/held" --resume >"$t/said" 2>&1 &
pid=$!
sleep 0.3
stop INT
[ $code = 130 ] || fail "a killed run holds its folder: $(cat "$t/said")"
