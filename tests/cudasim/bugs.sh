#!/bin/sh
# Each bug that a program in bugs/ plants is found: a report names the file and the line after
# the comment "BUG name: text", and says the text; without the bug nothing is reported.
set -eu
here=tests/cudasim/bugs
[ -x "$VOV_BUILD/$here/memory" ] || { echo "no nvcc"; exit 77; }
out=$(mktemp)
trap 'rm -f "$out"' EXIT
bad=0 bugs=0
export CUSIM_STEPS=100000 CUSIM_DEVICES=2

# one FILE LINE NAME TEXT
one() {
    program=$VOV_BUILD/$here/$(basename "$1" .cu)
    place=$(basename "$1"):$2
    if "$program" "$3" 2>"$out"; then
        echo "$place: $3 was not noticed"
        return 1
    fi
    if ! grep -F "$place" "$out" | grep -qF "$4"; then
        echo "$place: $3: expected '$4', found"
        cat "$out"
        return 1
    fi
    if ! "$program" "$3" fixed 2>"$out"; then
        echo "$place: $3 without its bug:"
        cat "$out"
        return 1
    fi
}

for file in "$here"/*.cu; do
    list=$(sed -n 's/.*BUG \([a-z_]*\): \(.*\) \*\/.*/\1 \2/p' "$file")
    [ -n "$list" ] || { echo "$file plants no bug"; bad=1; }
    while read -r name text; do
        line=$(grep -n "BUG $name: " "$file" | cut -d : -f 1)
        one "$file" $((line + 1)) "$name" "$text" || bad=1
        bugs=$((bugs + 1))
    done <<LIST
$list
LIST
done
echo "count $bugs planted bugs, each found at its line, and nothing without it"
exit $bad
