#!/bin/sh
# train_resume.sh - kill -9 at random moments, resume, and in the end the bits are those of a run that
# was never stopped. Ctrl-C saves and exits with 130.
set -eu
t=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || :; rm -rf "$t"' EXIT
fail() {
    echo "$1"
    exit 1
}

./vov data draw -q "$t/set" --images 30 --size 64 --classes 4
run="./vov train tests/cli/tiny.cfg $t/set/drawn.data --epochs 12 --threads 1 --seed 9 -q"

$run --out "$t/whole"

kills=0
while [ $kills -lt 6 ]; do
    $run --out "$t/killed" --resume 2>/dev/null &
    pid=$!
    sleep "0.$((1 + ($$ + kills * 5) % 8))"
    kill -9 $pid 2>/dev/null || :
    wait $pid 2>/dev/null || :
    pid=
    kills=$((kills + 1))
done
$run --out "$t/killed" --resume 2>/dev/null
cmp "$t/whole/last.safetensors" "$t/killed/last.safetensors" || fail "resumed runs differ"
[ "$(ls "$t/killed")" = "$(ls "$t/whole")" ] || fail "files were left behind: $(ls "$t/killed")"

$run --out "$t/stopped" 2>/dev/null &
pid=$!
sleep 0.4
kill -INT $pid 2>/dev/null || :
code=0
wait $pid || code=$?
pid=
[ $code = 130 ] || [ $code = 0 ] || fail "exit $code after SIGINT, not 130"
$run --out "$t/stopped" --resume 2>/dev/null
cmp "$t/whole/last.safetensors" "$t/stopped/last.safetensors" || fail "after SIGINT they differ"
