#!/bin/sh
# The frame of the command line: help, versions, mistakes, exit codes, what goes to which stream.
set -eu
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
fail() {
    echo "$1"
    cat "$t/out" "$t/err"
    exit 1
}

# run EXIT_CODE ARGUMENT... - its output is in $t/out and $t/err
run() {
    want=$1
    shift
    status=0
    ./vov "$@" >"$t/out" 2>"$t/err" || status=$?
    [ "$status" -eq "$want" ] || fail "vov $*: exit code $status, not $want"
}
out_has() { grep -qF -- "$1" "$t/out" || fail "standard output lacks: $1"; }
err_has() { grep -qF -- "$1" "$t/err" || fail "standard error lacks: $1"; }
silent() { [ ! -s "$t/$1" ] || fail "something on $1"; }

run 0 --version
grep -qE '^vov [0-9]+\.[0-9]+\.[0-9]+$' "$t/out" || fail "no version"
for word in --help -h help; do
    run 0 $word
    out_has 'usage: vov COMMAND'
    silent err
done
run 2
silent out
err_has 'usage: vov COMMAND'

# Every command that is listed: help on standard output, examples before options.
./vov help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\( [a-z][a-z]*\)\{0,1\}\)  .*/\1/p' >"$t/commands"
[ "$(wc -l <"$t/commands")" -ge 8 ] || fail "few commands: $(cat "$t/commands")"
for word in help train eval detect show cocoeval 'data check' 'data draw'; do
    grep -qx "$word" "$t/commands" || fail "no command $word"
done
while read -r words; do
    # shellcheck disable=SC2086 # one word or two
    run 0 $words --help
    silent err
    out_has "usage: vov $words"
    examples=$(grep -n '^examples:' "$t/out" | cut -d : -f 1)
    options=$(grep -n '^options:' "$t/out" | cut -d : -f 1)
    [ "$examples" -lt "$options" ] || fail "$words: examples come after options"
    awk 'length > 100 { exit 1 }' "$t/out" || fail "$words: lines over 100 columns"
    cp "$t/out" "$t/first"
    # shellcheck disable=SC2086
    run 0 help $words
    cmp "$t/out" "$t/first" || fail "help $words and $words --help differ"
    # shellcheck disable=SC2086
    run 2 $words --no-such-option
    err_has 'unknown option --no-such-option'
    silent out
done <"$t/commands"

run 2 trian
err_has 'did you mean "train"?'
run 2 data
err_has 'vov data check'
run 0 data --help
out_has 'vov data draw'
run 2 data chekc
err_has 'did you mean "data check"?'
run 2 show
err_has 'vov show needs CFG'
err_has 'usage: vov show'
run 2 show --jsn x
err_has 'did you mean --json?'
run 2 show a b
run 2 help no-such-command

# What cannot be read is as wrong as what is wrong inside; nothing waits for a pipe.
run 3 show /no/such.cfg
err_has 'cannot read /no/such.cfg: No such file or directory'
silent out
run 3 show cfg
err_has 'cannot read cfg: it is a folder'
run 3 train /no/such.cfg data/bccd.data
run 4 train cfg/demo.cfg /no/such.data
err_has 'cannot read /no/such.data'
run 4 train cfg/demo.cfg /no/such.json
run 4 eval cfg/demo.cfg /no/such.safetensors data/bccd.data
run 4 detect cfg/demo.cfg /no/such.safetensors picture.png
err_has 'cannot read /no/such.safetensors'
run 4 cocoeval /no/such.json /no/such.json
run 4 data check /no/such.png
mkfifo "$t/pipe"
for kind in json data png; do
    ln -sf pipe "$t/pipe.$kind"
    run 4 data check "$t/pipe.$kind"
    err_has 'no plain file'
done
run 3 show "$t/pipe"
run 4 cocoeval "$t/pipe.json" "$t/pipe.json"

run 0 help cfg
out_has '[osa]'
run 0 help cfg net
out_has 'learning_rate'
run 0 help cfg convolutional
out_has 'batch_normalize'
run 2 help cfg quantum

# Darknet's keys of [net]: those of colours are ours too, others are refused with a reason.
printf '[net]\nwidth=32\nheight=32\nsaturation=1.5\nexposure=.75\nhue=.1\nangle=0\nletter_box=1\n%s' \
    "[convolutional]
filters=8" >"$t/darknet.cfg"
run 0 show "$t/darknet.cfg"
sed -i 's/angle=0/angle=7\nmosaic=1\njitter=.3/' "$t/darknet.cfg"
run 3 show "$t/darknet.cfg"
err_has "$t/darknet.cfg:7:1: error: [net] Darknet's angle is not built in: pictures are not turned"
err_has "Darknet's mosaic is not built in"
err_has "Darknet's jitter is not built in: crop= is SSD's random crop"

# A full disk behind standard output is no success.
status=0
./vov help >/dev/full 2>"$t/err" || status=$?
[ "$status" -eq 1 ] || fail "a full standard output: exit code $status"
err_has 'cannot write standard output'

# Errors of a cfg: place, line, caret; all at once; exit code 3; colour only where asked for.
printf '[net]\nwidth=32\nheight=32\nchannels=3\nbatch=0\n[convolutional]\nfilter=8\n\tsize = 1e1\n' \
    >"$t/bad.cfg"
run 3 show "$t/bad.cfg"
err_has "$t/bad.cfg:5:7: error: [net] batch must be between"
err_has '    5 | batch=0'
err_has "      |       ^"
run 3 show "$t/bad.cfg" --set net.batch=1
err_has "$t/bad.cfg:7:1: error: [convolutional] unknown key \"filter\"; did you mean \"filters\"?"
err_has "$t/bad.cfg:8:9: error: [convolutional] size must be a whole number, not \"1e1\""
run 3 show "$t/bad.cfg" --color=always
err_has "$(printf '\033[1;31merror:')"
run 2 show "$t/bad.cfg" --set batch=1
run 3 show "$t/bad.cfg" --set nte.batch=1
err_has 'did you mean "net"?'
