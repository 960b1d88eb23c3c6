#!/bin/sh
# voc.sh - Pascal VOC's folders and XML files: read, checked, trained on, measured; what is wrong in
# them is named with file and line.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail() {
    echo "voc.sh: $*" >&2
    exit 1
}

object() { # NAME XMIN YMIN XMAX YMAX DIFFICULT
    printf '<object><name>%s</name><part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>' "$1"
    printf '<bndbox><xmin>%s</xmin><ymin>%s</ymin><xmax>%s</xmax><ymax>%s</ymax></bndbox>' \
        "$2" "$3" "$4" "$5"
    printf '<difficult>%s</difficult></object>\n' "$6"
}

voc=$tmp/VOC2007
mkdir -p "$voc/Annotations" "$voc/JPEGImages" "$voc/ImageSets/Main"
./vov data draw -q "$tmp/drawn" --images 5 --size 64 >/dev/null
n=0
for p in $(find "$tmp/drawn/images" -type f | sort | head -n 3); do
    n=$((n + 1))
    cp "$p" "$voc/JPEGImages/00000$n.${p##*.}"
    {
        echo '<?xml version="1.0"?>'
        echo "<annotation><filename>00000$n.${p##*.}</filename><segmented>0</segmented>"
        object dog 3 4 22 33 0
        [ $n -ne 1 ] || object cat 1 1 10 12 1
        echo '</annotation>'
    } >"$voc/Annotations/00000$n.xml"
done
printf '000001\n000002  1\n' >"$voc/ImageSets/Main/trainval.txt"
printf '\357\273\277000003 -1\r\n' >"$voc/ImageSets/Main/test.txt"
printf 'train = %s\nvalid = %s\nclasses = cat, dog\n' VOC2007/ImageSets/Main/trainval.txt \
    VOC2007/ImageSets/Main/test.txt >"$tmp/voc.data"

./vov data check "$tmp/voc.data" --json >"$tmp/check.json" 2>/dev/null || fail "data check fails"
grep -q '"images": 2, "without_boxes": 0, "boxes": 3' "$tmp/check.json" ||
    fail "wrong counts: $(cat "$tmp/check.json")"
./vov data check "$voc/Annotations" >"$tmp/log" 2>&1 || fail "a folder of XML files: $(cat "$tmp/log")"
grep -q '3 pictures, 0 without boxes; 4 boxes' "$tmp/log" || fail "a folder of XML files is misread"

./vov train tests/cli/tiny.cfg "$tmp/voc.data" --out "$tmp/run" --set net.classes=2 \
    --set net.batch=2 --set net.subdivisions=1 --set net.max_batches=1 >"$tmp/log" 2>&1 ||
    fail "does not train: $(cat "$tmp/log")"
# The command that it ends with works as it stands, --set and all.
picture=$(find "$voc/JPEGImages" -type f | head -n 1)
use=$(sed -n 's/^use it:  vov //p' "$tmp/log" | sed "s|PICTURE\.\.\.|$picture|")
eval "./vov $use --json $tmp/found.json" >"$tmp/log" 2>&1 || fail "$use: $(cat "$tmp/log")"
./vov train tests/cli/tiny.cfg "$tmp/voc.data" --out "$tmp/all" --set net.classes=2 \
    --set net.batch=2 --set net.subdivisions=1 --set net.max_batches=1 --set net.difficult=1 \
    >"$tmp/log" 2>&1 || fail "does not train: $(cat "$tmp/log")"
sum() { # RUN: of its first update's loss
    head -n 1 "$tmp/$1/metrics.jsonl" | grep -o '"loss":[^,]*'
}
[ "$(sum run)" != "$(sum all)" ] || fail "difficult=1 is not learned from"
./vov eval tests/cli/tiny.cfg "$tmp/run/last.safetensors" "$tmp/voc.data" --voc --json \
    --set net.classes=2 >"$tmp/eval.json" || fail "does not evaluate"
grep -q '"voc":{"AP11":' "$tmp/eval.json" || fail "no VOC numbers: $(cat "$tmp/eval.json")"
python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$tmp/eval.json" 2>/dev/null ||
    ! command -v python3 >/dev/null || fail "no JSON"

# Numbers as people write them, and no others.
mkdir "$tmp/few"
{
    echo '<annotation><size><width>8 9</width><height>0x8</height></size>'
    object dog 3 4 22 33 0 && object dog 3 4 0x16 33 0 && object dog 3 4 inf 33 0
    echo '</annotation>'
} >"$tmp/few/a.xml"
cp "$(find "$voc/JPEGImages" -name '*.jpg' | head -n 1)" "$tmp/few/a.jpg"
./vov data check "$tmp/few" >"$tmp/log" 2>&1 || fail "odd numbers: $(cat "$tmp/log")"
grep -q '1 boxes, 0 of crowds; 2 annotations left out' "$tmp/log" || fail "odd numbers: $(cat "$tmp/log")"

# wrong TEXT FILE: after FILE's text replaced an annotation, data check says TEXT with exit code 4.
wrong() {
    cp "$2" "$voc/Annotations/000001.xml"
    code=0
    ./vov data check "$tmp/voc.data" >"$tmp/log" 2>&1 || code=$?
    [ "$code" = 4 ] || fail "exit code $code for $1"
    grep -q "$1" "$tmp/log" || fail "does not say \"$1\": $(cat "$tmp/log")"
}
printf '<annotation>\n<object></annotation>\n' >"$tmp/bad.xml"
wrong '000001.xml:2:.*mismatched tag' "$tmp/bad.xml"
printf '<annotation><object><name>cow</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax>%s' \
    '<ymax>9</ymax></bndbox></object></annotation>' >"$tmp/bad.xml"
wrong '"cow", which is none of the classes' "$tmp/bad.xml"
printf '<!DOCTYPE html>\n<html><body>not found</body></html>\n' >"$tmp/bad.xml"
wrong '000001.xml:2: .*begins with <html> in place of <annotation>' "$tmp/bad.xml"
: >"$tmp/bad.xml"
wrong '000001.xml:1:.*no element' "$tmp/bad.xml"
printf '000009\n' >"$voc/ImageSets/Main/test.txt"
wrong '000009.xml' "$tmp/bad.xml"
echo "voc.sh: all as expected"
