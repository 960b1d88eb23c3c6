#!/bin/sh
# train.sh - `vov train`: what it says, writes and refuses; eval and detect with what it wrote.
set -eu
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
fail() {
    echo "$1"
    exit 1
}
# expect CODE COMMAND...: output in $t/out
expect() {
    want=$1
    shift
    code=0
    "$@" >"$t/out" 2>&1 || code=$?
    [ "$code" = "$want" ] || { cat "$t/out"; fail "exit $code, not $want: $*"; }
}
said() {
    grep -q -- "$1" "$t/out" || { cat "$t/out"; fail "not said: $1"; }
}

./vov data draw -q "$t/set" --images 30 --size 64 --classes 4
data=$t/set/drawn.data
cfg=tests/cli/tiny.cfg

expect 0 ./vov train $cfg "$data" --out "$t/run" --epochs 2 --threads 2 --seed 5 --eval-every 1
said 'epoch'
said 'val AP'
for f in last.safetensors metrics.jsonl; do
    [ -s "$t/run/$f" ] || fail "no $f"
done
grep -q '"val":{"AP":' "$t/run/metrics.jsonl" || fail "no evaluation in metrics.jsonl"

# A run is not written over, and goes on only when asked to.
cp "$t/run/last.safetensors" "$t/before"
expect 2 ./vov train $cfg "$data" --out "$t/run" --epochs 2
said 'resume'
cmp "$t/run/last.safetensors" "$t/before" || fail "a refused run changed the one before"
expect 0 ./vov train $cfg "$data" --out "$t/run" --epochs 2 --resume
said 'finished already'

# One thread, the same seed: the same bits.
expect 0 ./vov train $cfg "$data" --out "$t/one" --epochs 2 --threads 1 --seed 5 --eval-every 1 -q
[ ! -s "$t/out" ] || fail "-q was not quiet"
cmp "$t/run/last.safetensors" "$t/one/last.safetensors" || fail "1 and 2 threads differ"

# Mistakes.
expect 3 ./vov train $cfg "$data" --out "$t/x" --set net.classes=7
said 'net.classes='
expect 2 ./vov train $cfg
expect 2 ./vov train $cfg "$data" --epoch 3 --out "$t/x"
expect 3 ./vov train $cfg "$data" --out "$t/x" --set net.learning_rat=3
expect 4 ./vov train $cfg "$data" --out "$t/x" --weights tests/cli/tiny.cfg
expect 6 ./vov train $cfg "$data" --out "$t/nan" --set net.learning_rate=900 --set net.burn_in=0 \
    --set net.clip=0 --epochs 20
said 'not finite'
said 'last.safetensors'
expect 1 ./vov train $cfg "$data" --out "$t/set/drawn.data/run"
sed 's/"square"/"box"/' "$t/set/val.json" >"$t/set/other.json"
printf 'train=train.json\nvalid=other.json\nimages=images\n' >"$t/set/other.data"
expect 4 ./vov train $cfg "$t/set/other.data" --out "$t/x"
said 'class 2 is "square" in .*, but "box" in '
sed 's/"category_id": /&9/g' "$t/set/train.json" >"$t/set/none.json"
expect 4 ./vov train $cfg "$t/set/none.json" --out "$t/x"
said 'not one box to learn from'

# A folder that may not be written: said, exit 1, the checkpoint before stays. Root may write
# everywhere and becomes nobody for this, where nobody may run the program.
as_user() {
    [ "$(id -u)" != 0 ] || set -- setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
    "$@"
}
chmod 755 "$t"
chmod -R a+rX "$t/set" "$t/run"
chmod 555 "$t/run"
cp "$t/run/last.safetensors" "$t/before"
if as_user ./vov show $cfg >/dev/null 2>&1; then
    expect 1 as_user ./vov train $cfg "$data" --out "$t/run" --epochs 3 --resume
    said 'cannot write'
    said 'ermission denied'
    cmp "$t/run/last.safetensors" "$t/before" || fail "a folder that may not be written changed"
    expect 1 as_user ./vov train $cfg "$data" --out "$t/run/new"
    said 'ermission denied'
fi
chmod 755 "$t/run"

# Memory (here: a limit on addresses) that the plan does not fit into: said before anything is taken,
# with a batch that would fit, and that one does.
small_memory() (
    # shellcheck disable=SC3045 # dash and bash have it
    ulimit -v 600000
    exec ./vov train $cfg "$data" --epochs 1 --threads 1 --seed 5 "$@"
)
if [ "${VOV_BUILD:-build/release}" = build/release ]; then # a sanitizer takes more addresses
    expect 5 small_memory --out "$t/large" --set net.batch=4096
    said 'a batch of 4096 needs .* MiB'
    fits=$(sed -n 's/.* \([0-9]*\) at a time would fit.*/\1/p' "$t/out")
    [ "$fits" -ge 8 ] || fail "no batch that fits was named"
    [ ! -e "$t/large" ] || fail "a run that cannot be left a folder"
    expect 0 small_memory --out "$t/small" --set net.batch=8
fi

# A part of an epoch is no epoch 0.
expect 0 ./vov train $cfg "$data" --out "$t/part" --epochs 0.5
said 'epoch 0.33/0.67  iteration 1/2 '

# Fine-tuning says what it took.
expect 0 ./vov train $cfg "$data" --out "$t/fine" --epochs 1 --weights "$t/run/last.safetensors"
said 'taken from'
expect 2 ./vov detect $cfg "$t/run/last.safetensors" "$t/set/images/val" --json -
said 'no name for a file'
[ ! -e ./- ] || fail "a file called -"
expect 0 ./vov train $cfg "$data" --out "$t/again" --epochs 1 --resume --weights "$t/run/last.safetensors"
said 'taken from'
cmp "$t/fine/last.safetensors" "$t/again/last.safetensors" || fail "--resume left --weights out"
expect 0 ./vov train $cfg "$data" --out "$t/again" --epochs 2 --resume --weights "$t/run/last.safetensors"
said 'weights: those of the run in'

# Evaluation and detection with the weights.
expect 0 ./vov eval $cfg "$t/run/last.safetensors" "$data" --json --coco "$t/results.json"
said '"bbox":{"AP":'
expect 0 ./vov cocoeval "$t/set/val.json" "$t/results.json" --json
expect 4 ./vov eval $cfg "$t/run/metrics.jsonl" "$data"
expect 4 ./vov eval $cfg "$t/nowhere.safetensors" "$data"
echo "not a picture" >"$t/bad.jpg"
expect 4 ./vov detect $cfg "$t/run/last.safetensors" "$t/bad.jpg" "$t/set/images/val" --out "$t/drawn" \
    --json "$t/found.json" --coco "$t/coco.json" --thresh 0.01
said 'bad.jpg'
said 'could not be read'
[ -n "$(ls "$t/drawn")" ] || fail "no picture was drawn"
grep -q '"detections":\[' "$t/found.json" || fail "no detections in the JSON"
expect 2 ./vov detect $cfg "$t/run/last.safetensors" "$t/set/images/val" --thresh 2

# A disk with no room (here: a limit on the size of files): said, exit 1, the checkpoint before stays.
cp "$t/run/last.safetensors" "$t/before"
code=0
(
    trap '' XFSZ
    ulimit -f 200
    exec ./vov train $cfg "$data" --out "$t/run" --epochs 3 --resume
) >"$t/out" 2>&1 || code=$?
[ $code = 1 ] || { cat "$t/out"; fail "exit $code, not 1, on a full disk"; }
said 'cannot write'
said 'is kept'
cmp "$t/run/last.safetensors" "$t/before" || fail "a full disk spoilt the checkpoint"
[ "$(find "$t/run" -name '*.tmp-*' | wc -l)" = 0 ] || fail "a full disk left files behind"

# Room for one checkpoint and not for all that a run writes (where a disk may be mounted).
small_disk() {
    mkdir -p "$t/disk"
    unshare -rm sh -c 'mount -t tmpfs -o size=1000k tmpfs "$1" && shift && exec "$@"' sh "$t/disk" "$@"
}
if small_disk true 2>/dev/null; then
    expect 1 small_disk ./vov train $cfg "$data" --out "$t/disk/run" --epochs 1
    said 'its disk has room for .* MB, and the run needs'
fi

# A picture that cannot be read: named, counted, replaced; one whose end is missing: named and used.
first=$(find "$t/set/images/train" -type f | sort | head -n 1)
second=$(find "$t/set/images/train" -type f | sort | sed -n 2p)
echo "not a picture" >"$first"
head -c "$(($(wc -c <"$second") - 20))" "$second" >"$t/cut"
cp "$t/cut" "$second"
expect 0 ./vov train $cfg "$data" --out "$t/bad" --epochs 1 --seed 5
said "$(basename "$first"): no picture"
said 'the picture is replaced by another'
said "$(basename "$second"): .*cut short.*used"
said 'replaced by others [0-9]* times'
