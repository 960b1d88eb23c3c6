#!/bin/sh
# data: drawing the same set twice gives the same bytes; a .data file's words are checked; and every
# broken picture and annotation file of ../shared/data/broken ends as its table asks: `ok` and `warn`
# with 0, `error` with 4 and a message that names the file, `either` with one of the two.
set -eu
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT

fail()
{
    echo "$*"
    exit 1
}

# Runs `./vov data check -q FILE` and leaves its exit code in $status.
status=0
check()
{
    status=0
    timeout 10 ./vov data check -q "$1" >"$t/out" 2>"$t/err" || status=$?
}

./vov data draw -q "$t/a" --images 10 --size 64 --seed 3 >"$t/first"
./vov data draw -q "$t/b" --images 10 --size 64 --seed 3 --threads 1 >/dev/null
diff -r "$t/a" "$t/b" || fail "two draws of one seed differ"
./vov data draw -q "$t/c" --images 10 --size 64 --seed 4 >/dev/null
! diff -rq "$t/a/train.json" "$t/c/train.json" >/dev/null || fail "the seed changes nothing"
check "$t/a/drawn.data"
[ "$status" -eq 0 ] || fail "a drawn set does not pass its check: $(cat "$t/err")"

cat "$t/a/drawn.data" >"$t/a/classes.data"
echo 'classes = circle, square, triangle, star' >>"$t/a/classes.data"
check "$t/a/classes.data"
[ "$status" -eq 0 ] || fail "right classes are refused: $(cat "$t/err")"
sed -i 's/square/sqare/' "$t/a/classes.data"
check "$t/a/classes.data"
[ "$status" -eq 4 ] && grep -q sqare "$t/err" || fail "wrong classes pass: $status $(cat "$t/err")"
printf '\357\273\277train = train.json\r\nvalid = val.json\r\nimages = images\r\n' >"$t/a/bom.data"
check "$t/a/bom.data"
[ "$status" -eq 0 ] || fail "a BOM or CRLF is refused: $(cat "$t/err")"
printf 'train = train.json\ntrain = val.json\n' >"$t/a/twice.data"
check "$t/a/twice.data"
[ "$status" -eq 4 ] && grep -q 'twice.data:2: "train" is given twice' "$t/err" ||
    fail "a key given twice passes: $status $(cat "$t/err")"
echo 'trian = x.json' >"$t/typo.data"
check "$t/typo.data"
[ "$status" -eq 4 ] || fail "a .data file with a typo passes"
grep -q 'did you mean "train"' "$t/err" || fail "no hint: $(cat "$t/err")"

broken=../shared/data/broken
if [ ! -d "$broken" ]; then
    echo "the broken files are skipped: no $broken here"
    exit 0
fi

# The table's rows: folder, file, verdict.
awk -F '|' '/^## /{split($0, w, " "); dir = w[2]}
    /^\| [^f-]/ && (dir == "image" || dir == "coco"){
        gsub(/ /, "", $2); gsub(/ /, "", $5); print dir, $2, $5}
    /^\| f[^i]/ && (dir == "image" || dir == "coco"){
        gsub(/ /, "", $2); gsub(/ /, "", $5); print dir, $2, $5}' "$broken/README.md" >"$t/cases"
[ "$(wc -l <"$t/cases")" -eq 84 ] || fail "$(wc -l <"$t/cases") cases in the table, not 84"

while read -r dir file verdict; do
    check "$broken/$dir/$file"
    case $verdict-$status in
    ok-0 | either-0 | error-4 | either-4) ;;
    warn-0) grep -q "$file" "$t/out" "$t/err" || fail "$dir/$file: no warning names it" ;;
    *) fail "$dir/$file: status $status where $verdict is wanted: $(cat "$t/err")" ;;
    esac
    if [ "$status" -eq 4 ]; then
        cat "$t/out" "$t/err" | grep -q "$file" || fail "$dir/$file: the message does not name it"
    fi
done <"$t/cases"
