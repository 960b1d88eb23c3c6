#!/bin/sh
# vov show on the damaged and odd cfg files beside the project: those that should work do, the
# others end with exit code 3 and a message that names file and line.
set -eu

dir=../shared/data/broken/cfg
if [ ! -d "$dir" ]; then
    echo "no $dir"
    exit 77
fi
out=$(mktemp)
trap 'rm -f "$out"' EXIT

fail()
{
    echo "$1" >&2
    cat "$out" >&2
    exit 1
}

for cfg in "$dir"/*.cfg; do
    name=$(basename "$cfg" .cfg)
    want=3 says="^$cfg:[0-9]*:[0-9]*: error: "
    case $name in
    valid | spaces_comments | old_section_name | trailing_comment | dup_key | no_newline_end)
        want=0 says="^3 layers, output 18x32x32"
        ;;
    route_twice_same) want=0 says="^4 layers, output 18x32x32" ;;
    esac
    status=0
    ./vov show "$cfg" >"$out" 2>&1 || status=$?
    [ "$status" -eq "$want" ] || fail "$name: exit code $status, not $want"
    grep -q "$says" "$out" || fail "$name: no line '$says'"
done

# What the message must name.
says()
{
    ./vov show "$dir/$1.cfg" >"$out" 2>&1 || true
    grep -qF "$2" "$out" || fail "$1: does not say '$2'"
}
says unknown_section "cfg:19:1: error: unknown section [quantum]"
says bad_policy 'cfg:9:8: error: [net] unknown policy "sometimes"'
says route_group_bad "group_id=5 is out of range"
says route_self "is this section itself"
says groups_bad "do not divide into 3 groups"
says filters_1e3 'must be a whole number, not "1e1"'
says pool_too_big "leaves nothing of a window of 64"
says yolo_first "wants 6 channels"
says yolo_mask_out "mask has 7"
says dup_key "filters is given twice"
says section_case "did you mean [yolo]?"
