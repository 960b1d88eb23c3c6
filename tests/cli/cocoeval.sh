#!/bin/sh
# vov cocoeval: the text, the JSON, and what damaged input does.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

cat > "$dir/truth.json" <<'END'
{"images": [{"id": 7, "file_name": "a.png", "width": 20, "height": 10}],
 "categories": [{"id": 3, "name": "black \"cat\""}, {"id": 9, "name": "dog"}],
 "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [2, 2, 6, 4], "area": 24,
   "iscrowd": 0, "segmentation": [[2, 2, 8, 2, 8, 6, 2, 6]]}]}
END
echo '[{"image_id": 7, "category_id": 3, "bbox": [4, 2, 4, 4], "score": 0.5}]' > "$dir/found.json"
echo '[]' > "$dir/none.json"
echo '[{"image_id": 8, "category_id": 3, "bbox": [4, 2, 4, 4], "score": 0.5}]' > "$dir/other.json"
echo '[{"image_id": 7, "category_id": 3, "bbox": [4, 2, 4, 4]}]' > "$dir/noscore.json"
echo '{"a": 1}' > "$dir/object.json"

fail() { echo "cocoeval.sh: $*" >&2; exit 1; }

# expect CODE WORD ARGUMENT... - the exit code, and a word of what is printed
expect()
{
    want=$1 word=$2
    shift 2
    status=0
    ./vov cocoeval "$@" > "$dir/out" 2>&1 || status=$?
    [ "$status" -eq "$want" ] || fail "$*: exit code $status, not $want: $(cat "$dir/out")"
    grep -q -- "$word" "$dir/out" || fail "$*: no '$word' in: $(cat "$dir/out")"
}

expect 0 'area=   all | maxDets=100 ] = 0.400' "$dir/truth.json" "$dir/found.json"
expect 0 '^black "cat"  *0.400   1.000   0.000' "$dir/truth.json" "$dir/found.json"
expect 0 '^dog  *-1.000' "$dir/truth.json" "$dir/found.json"
expect 0 '{"bbox":{"AP":0.39' "$dir/truth.json" "$dir/found.json" --json
expect 0 '"per_class":\[{"id":3,"name":"black \\"cat\\"","AP":0.39' \
    "$dir/truth.json" "$dir/found.json" --iou bbox --json
expect 0 '{"segm":{"AP":0.39' "$dir/truth.json" "$dir/found.json" --iou segm --json
expect 0 '{"bbox":{"AP":0,"AP50":0,"AP75":0,"APs":0,"APm":-1' \
    "$dir/truth.json" "$dir/none.json" --json
expect 4 'no picture with id 8' "$dir/truth.json" "$dir/other.json"
expect 4 'result 0: no "score"' "$dir/truth.json" "$dir/noscore.json"
expect 4 'not a list' "$dir/truth.json" "$dir/object.json"
expect 4 'images' "$dir/found.json" "$dir/found.json"
expect 2 'bbox or segm' "$dir/truth.json" "$dir/found.json" --iou mask
expect 2 '' "$dir/truth.json"
expect 4 'missing.json' "$dir/truth.json" "$dir/missing.json"
