#!/bin/sh
# Bad input of every kind, each with the exit code that `vov help` states and words of its message:
# configs, annotations, pictures, weights, results, places to write to. Nothing may be overwritten.
set -eu
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
export LC_ALL=C

fail()
{
    echo "bad_input.sh: $*" >&2
    exit 1
}

n=0
# expect CODE WORDS ARGUMENT... - the exit code of vov, and words of what it prints
expect()
{
    want=$1 words=$2 status=0
    shift 2
    timeout 60 ./vov "$@" >"$t/out" 2>&1 </dev/null || status=$?
    [ "$status" -eq "$want" ] || fail "$*: exit code $status, not $want: $(head -c 600 "$t/out")"
    grep -qF -e "$words" "$t/out" || fail "$*: no '$words' in: $(head -c 600 "$t/out")"
    ! grep -q "$(printf '[\001-\010\016-\037\177]')" "$t/out" || fail "$*: control bytes are printed"
    n=$((n + 1))
}

# ---- configs ----
net='[net]\nwidth = 32\nheight = 32\n'
conv="${net}[convolutional]\nname = a\nfilters = 8\nsize = 3\npad = 1\n"
# cfg CODE WORDS TEXT
cfg()
{
    # shellcheck disable=SC2059 # the text has escapes
    printf "$3" >"$t/x.cfg"
    expect "$1" "$2" show "$t/x.cfg"
}
cfg 0 '1 layers, output 8x32x32' "$conv# größe\n"
cfg 3 'no section in this file' ''
cfg 3 'no section in this file' '\n # nothing\n'
cfg 3 'a network needs at least one layer' "$net"
cfg 3 'the first section must be [net], not [convolutional]' '[convolutional]\nfilters=8\n'
cfg 3 '[net] may stand only once' "$conv$net"
cfg 3 'the key height is missing' '[net]\nwidth = 3\n[convolutional]\nfilters=8\n'
cfg 3 'x.cfg:1:1: error: a NUL byte' '\000\001\002\n'
cfg 3 'unknown key "größe"' "${conv}größe = 3\n"
cfg 3 "x.cfg:9:14: error: a control byte" "${conv}activation = \\001\\002\n"
cfg 3 'expected [section], key=value or a comment' "${conv}filters 8\n"
cfg 3 'filters must be a whole number, not "99999999999999999999"' \
    "${net}[convolutional]\nfilters = 99999999999999999999\n"
cfg 3 'filters must be between 1 and 65536, not 2147483648' "${net}[convolutional]\nfilters = 2147483648\n"
cfg 3 'filters must be a whole number, not "0x8"' "${net}[convolutional]\nfilters = 0x8\n"
cfg 3 'learning_rate must be a number, not "inf"' "${net}learning_rate = inf\n[convolutional]\nfilters=8\n"
cfg 3 'learning_rate must be a number, not "1e999"' \
    "${net}learning_rate = 1e999\n[convolutional]\nfilters=8\n"
cfg 3 'no section before has name=b' "${conv}[convolutional]\nname=b\nfrom=b\nfilters=8\n"
cfg 3 "no section before has name=ab; did you mean 'a'?" "${conv}[convolutional]\nfrom=ab\nfilters=8\n"
cfg 3 'name=a is taken' "${conv}[convolutional]\nname=a\nfilters=8\n"
cfg 3 'there is no layer -9 before this one' "${conv}[route]\nlayers=-9\n"
cfg 3 'a is 8x32x32; they must be equal' "${conv}[maxpool]\nsize=2\nstride=2\n[shortcut]\nfrom=a\n"
cfg 3 'no section before has name=b' "${net}classes=2\n[refinedet]\narm=b\nodm=c\n"
cfg 3 'wants as many levels in odm as in arm' \
    "${net}classes=2\n[convolutional]\nname=a\nfilters=8\n[tcb]\nname=u\nchannels=8\n[refinedet]\narm=a,a\nodm=u\n"
cfg 3 'wants classes= in [net]' "${conv}[tcb]\nname=u\nchannels=8\n[refinedet]\narm=a\nodm=u\n"
cfg 3 'cannot be' "${net}$(printf '[upsample]\\nstride=8\\n%.0s' 1 2 3 4 5)"
i=0
while [ $i -lt 30 ]; do
    echo '[convolutional]' && echo 'filers = 1'
    i=$((i + 1))
done | cat "$t/x.cfg" - >"$t/many.cfg"
expect 3 'more errors' show "$t/many.cfg"
head -c 5000000 /dev/zero | tr '\0' '#' >"$t/long.cfg"
expect 3 'long.cfg: at most 4194304 bytes are read' show "$t/long.cfg"
expect 3 'none.cfg: No such file' show "$t/none.cfg"
expect 3 'it is a folder' show "$t"
expect 3 'it is no plain file' show /dev/zero
expect 3 'none.cfg is not there' demo --cfg "$t/none.cfg" --out "$t/demo"
expect 3 'none.cfg: No such file' bench "$t/none.cfg"
expect 2 'expected section.key=value' show tests/cli/tiny.cfg --set width=3
expect 3 'did you mean "width"' show tests/cli/tiny.cfg --set net.widht=3
expect 2 'did you mean [osa]' help cfg ossa

# ---- data ----
mkdir "$t/images"
image='{"id":1,"file_name":"images/p.png","width":8,"height":8}'
class='{"id":1,"name":"cat"}'
good='{"id":2,"image_id":1,"category_id":1,"bbox":[1,1,4,4]}'
# An 8 x 8 picture in grey.
{
    printf '\211PNG\015\012\032\012\000\000\000\015IHDR\000\000\000\010\000\000\000\010\010\000\000\000\000\341d\341W'
    printf '\000\000\000\016IDATx\332ch\200\002\006\312\030\000\200\204\040\001\020\350j\027'
    printf '\000\000\000\000IEND\256B\140\202'
} >"$t/images/p.png"
# data CODE WORDS TEXT
data()
{
    # shellcheck disable=SC2059 # the text has escapes
    printf "$3" >"$t/x.json"
    expect "$1" "$2" data check "$t/x.json"
}
# ann CODE WORDS ANNOTATION - with a good one beside it
ann()
{
    data "$1" "$2" "{\"images\":[$image],\"categories\":[$class],\"annotations\":[$3,$good]}"
}
ann 0 'left out: there is no category with its "category_id", 77' \
    '{"id":1,"image_id":1,"category_id":77,"bbox":[1,1,2,2]}'
ann 0 'left out: there is no image with its "image_id", 9' \
    '{"id":1,"image_id":9,"category_id":1,"bbox":[1,1,2,2]}'
ann 0 'its "category_id" is no whole number' '{"id":1,"image_id":1,"category_id":"cat","bbox":[1,1,2,2]}'
ann 0 'is not four finite numbers' '{"id":1,"image_id":1,"category_id":1,"bbox":[1e999,1,2,2]}'
ann 0 'is not four finite numbers' '{"id":1,"image_id":1,"category_id":1,"bbox":"1,1,2,2"}'
ann 0 'has no area' '{"id":1,"image_id":1,"category_id":1,"bbox":[5,5,-2,-2]}'
ann 0 'lies outside the picture' '{"id":1,"image_id":1,"category_id":1,"bbox":[1e30,1e30,1e30,1e30]}'
ann 4 "x.json:1:167: expected a value, found 'N'" '{"id":1,"image_id":1,"category_id":1,"bbox":[NaN,1,2,2]}'
ann 0 'annotations[0] is left out: its "image_id" is no whole number' null
ann 0 '2 boxes, 1 of crowds' '{"id":1,"image_id":1,"category_id":1,"bbox":[1,1,4,4],"iscrowd":2}'
data 4 'the list "categories" is empty' "{\"images\":[$image],\"categories\":[],\"annotations\":[]}"
data 4 'category 1 has no "name"' "{\"images\":[$image],\"categories\":[{\"id\":1,\"name\":5}],\"annotations\":[]}"
data 4 'image 1 has no "file_name"' "{\"images\":[{\"id\":1}],\"categories\":[$class],\"annotations\":[]}"
data 4 'both halves of a surrogate pair' '{"a":"\\ud800"}'
data 4 'both halves of a surrogate pair' '{"a":"\\ud800\\n"}'
data 4 'expected UTF-8' '{"a":"\377\376"}'
data 4 'the end of the file' '{"images":[{"id'
data 4 'the end of the file' ''
data 4 'nothing after the last bracket' '{"images":[]} {}'
data 0 'a?[31mb' "{\"images\":[$image],\"categories\":[{\"id\":1,\"name\":\"a\\\\u001b[31mb\"}],\"annotations\":[$good]}"
cp "$t/x.json" "$t/good.json"
cp "$t/x.json" "$t/GOOD.JSON"
printf 'train = GOOD.JSON\n' >"$t/x.data"
expect 0 '1 boxes' data check "$t/x.data"
expect 3 'the data has 1 classes' train tests/cli/tiny.cfg "$t/GOOD.JSON" --out "$t/never"
printf 'train = good.json\nnames = x.names\n' >"$t/x.data"
expect 4 'x.data:2: unknown key "names"; there are train, valid, images' data check "$t/x.data"
# dot_data WORDS TEXT
dot_data()
{
    # shellcheck disable=SC2059 # the text has escapes
    printf "$2" >"$t/x.data"
    expect 4 "$1" data check "$t/x.data"
}
dot_data 'such as train = train.json, found "train: images"' 'train: images\n'
dot_data 'lists names with commas between' 'train = good.json\nclasses = 80\n'
dot_data 'good.json has "a?[31mb"' 'train = good.json\nclasses = b\n'
dot_data 'good.json has only 1' 'train = good.json\nclasses = a\033[31mb,b\n'
printf '/data/a.jpg\n' >"$t/x.txt"
dot_data "Of Darknet's labels make COCO's .json" 'train = x.txt\n'
expect 4 'none.json: No such file' data check "$t/none.json"
head -c 30 "$t/images/p.png" >"$t/cut.png"
expect 4 'PNG cut short' data check "$t/cut.png"
# Heads of a JPEG of two channels.
{
    printf '\377\330\377\300\000\016\010\000\010\000\010\002\001\021\000\002\021\000'
    printf '\377\332\000\012\002\001\000\002\000\000\077\000\000\377\331'
} >"$t/two.jpg"
expect 4 'JPEG with 2 colour channels' data check "$t/two.jpg"
: >"$t/nothing.jpg"
expect 4 'nothing.jpg: empty file' data check "$t/nothing.jpg"

# ---- a run ----
./vov data draw -q "$t/d" --images 10 --size 64 --seed 3 >/dev/null
./vov train -q tests/cli/tiny.cfg "$t/d/drawn.data" --epochs 1 --out "$t/run" >/dev/null
net=tests/cli/tiny.cfg
w=$t/run/last.safetensors
cp "$w" "$t/w"
pic=$t/images/p.png

# weights CODE WORDS - what all that read weights say of $t/x
weights()
{
    expect "$1" "$2" detect "$net" "$t/x" "$pic" --json "$t/o.json"
    expect "$1" "$2" eval "$net" "$t/x" "$t/d/val.json"
    expect "$1" "$2" train "$net" "$t/d/drawn.data" --weights "$t/x" --out "$t/never"
}
: >"$t/x" && weights 4 'x: an empty file'
printf '\377\377\377\377\377\377\377\177{}' >"$t/x" && weights 4 'do not hold a header of 9223372036854775807'
printf '\002\000\000\000\000\000\000\000[]' >"$t/x" && weights 4 'the header must be a JSON object'
head -c 30000 "$w" >"$t/x" && weights 4 'the checksum is'
printf 'PK\003\004\000\000\010\010' >"$t/x" && weights 4 'save its tensors with safetensors.torch'
printf '\000\000\000\000\002\000\000\000\005\000\000\000' >"$t/x" && weights 4 "Darknet's weights are not read"
cp "$net" "$t/x" && weights 4 'no safetensors file'
# As another program would write it, with one thing wrong in each.
sed 's/{"checksum":/{"chicksum":/' "$w" >"$t/u"
expect 0 '' eval "$net" "$t/u" "$t/d/val.json"
sed 's/"F32","shape":\[8,3,3,3\]/"F32","shape":[3,8,3,3]/' "$t/u" >"$t/x"
expect 4 '3x8x3x3 in the file, 8x3x3x3 in the net' eval "$net" "$t/x" "$t/d/val.json"
sed 's/"F32","shape":\[8,3,3,3\]/"F16","shape":[8,3,3,3]/' "$t/u" >"$t/x" && weights 4 'needs 432 bytes, and has 864'
sed 's/"data_offsets":\[864,/"data_offsets":[860,/' "$t/u" >"$t/x" && weights 4 'stem1/conv2/weight'
sed 's/\\"std\\":\[64,64,64\]/\\"std\\":[ 0,64,64]/' "$t/u" >"$t/x"
expect 4 'its metadata "pixels"' detect "$net" "$t/x" "$pic"
sed 's/"category_ids":"\[1,/"category_ids":"[1e30,/; s/"program":"vov /"program":"x/' "$t/u" >"$t/x"
expect 4 'its metadata "category_ids"' detect "$net" "$t/x" "$pic"
sed 's/"iteration":"1"/"iteration":"x"/' "$t/u" >"$t/x"
mkdir "$t/resumed" && cp "$t/x" "$t/resumed/last.safetensors"
expect 4 'a checkpoint without a checksum' train "$net" "$t/d/drawn.data" --resume --out "$t/resumed"
cmp -s "$t/x" "$t/resumed/last.safetensors" || fail "a checkpoint that cannot be used is overwritten"
expect 4 '' eval "$net" "$t/none" "$t/d/val.json"

# A picture that is none costs that picture.
expect 4 '1 pictures in' detect "$net" "$w" "$t/two.jpg" "$pic" --json "$t/o.json"

# Two classes of one name stay two.
sed 's/"square"/"circle"/' "$t/d/val.json" >"$t/d/twice.json"
./vov train -q "$net" "$t/d/twice.json" --epochs 1 --out "$t/twice" >/dev/null
expect 0 '' eval "$net" "$t/twice/last.safetensors" "$t/d/twice.json" --coco "$t/o.json"
for id in 1 2; do
    grep -q "\"category_id\":$id," "$t/o.json" || fail "class $id is lost"
done

# An input that pictures do not fill; eight channels with those that are added, so that the weights
# fit all the same.
sed 's/^\[stem\]/[pad_channels]\nafter = 5\n&/' "$net" >"$t/pad.cfg"
./vov train -q "$t/pad.cfg" "$t/d/drawn.data" --epochs 1 --out "$t/pad" >/dev/null
for n_channels in 1 6; do
    a=--set=net.channels=$n_channels b=--set=pad_channels.after=$((8 - n_channels))
    three="pictures have 3 channels, the net's input has $n_channels; --set net.channels=3"
    expect 3 "$three" train "$t/pad.cfg" "$t/d/drawn.data" --out "$t/never" "$a" "$b"
    expect 3 "$three" eval "$t/pad.cfg" "$t/pad/last.safetensors" "$t/d/val.json" "$a" "$b"
    expect 3 "$three" detect "$t/pad.cfg" "$t/pad/last.safetensors" "$pic" "$a" "$b" --json "$t/o.json"
done

# ---- places to write to ----
echo old >"$t/file"
expect 1 'file' train "$net" "$t/d/drawn.data" --out "$t/file"
expect 2 'holds a run already' train "$net" "$t/d/drawn.data" --out "$t/run"
mkdir "$t/best"
cp "$w" "$t/best/best.safetensors"
expect 2 'which a new one would write over' train "$net" "$t/d/drawn.data" --out "$t/best"
expect 2 'which a new one would write over' train "$net" "$t/d/drawn.data" --out "$t/best" --resume
cmp -s "$w" "$t/best/best.safetensors" || fail "the best of a run is overwritten"
cp "$t/d/val.json" "$t/val.json"
ln -s val.json "$t/link.json"
expect 2 'would be written over' eval "$net" "$w" "$t/val.json" --coco "$t/link.json"
expect 2 'would be written over' detect "$net" "$w" "$pic" --json "$w"
expect 2 'would be written over' bench "$t/pad.cfg" --json "$t/pad.cfg"
expect 2 'would be written over' bench "$t/pad.cfg" --csv "$t/pad.cfg"
cmp -s "$t/d/val.json" "$t/val.json" || fail "annotations are overwritten"
expect 1 'cannot write ""' detect "$net" "$w" "$pic" --json ''
expect 1 'cannot write' detect "$net" "$w" "$t/d/images/val" --json "$t/no/such/o.json"
expect 1 'cannot write' eval "$net" "$w" "$t/d/val.json" --coco "$t/no/such/o.json"
expect 1 'cannot write' bench "$net" --json "$t/no/such/o.json"
expect 1 'already; give a folder that is new' data draw "$t"
mkdir "$t/hollow"
expect 4 'no JPEG or PNG picture there' detect "$net" "$w" "$t/hollow"
expect 4 'gone.png: No such file' detect "$net" "$w" "$t/gone.png" "$pic" --json "$t/o.json"
expect 2 'not ""' detect "$net" "$w" "$pic" --scales ''
if [ -w /dev/full ]; then
    expect 1 'No space left' detect "$net" "$w" "$pic" --json /dev/full
fi
[ "$(cat "$t/file")" = old ] || fail "a file is overwritten"
cmp -s "$t/w" "$w" || fail "weights are overwritten"

# ---- results ----
truth='{"images":[{"id":7,"file_name":"a.png","width":20,"height":10}],"categories":[{"id":3,"name":"cat"}],
"annotations":[{"id":1,"image_id":7,"category_id":3,"bbox":[2,2,6,4],"segmentation":[[2,2,8,2,8,6]]}]}'
echo "$truth" >"$t/truth.json"
# results CODE WORDS ENTRY [OPTION...]
results()
{
    want=$1 says=$2
    printf '[%s]' "$3" >"$t/x.json"
    shift 3
    expect "$want" "$says" cocoeval "$t/truth.json" "$t/x.json" "$@"
}
results 4 "x.json:1:57: expected a value, found 'N'" '{"image_id":7,"category_id":3,"bbox":[4,2,4,4],"score":NaN}'
results 4 'x.json: result 0: no "score"' '{"image_id":7,"category_id":3,"bbox":[4,2,4,4],"score":1e999}'
results 4 'x.json: result 0: no "image_id"' '{"image_id":7.5,"category_id":3,"bbox":[4,2,4,4],"score":1}'
results 4 "x.json: result 0: $t/truth.json has no picture with id 8" \
    '{"image_id":8,"category_id":3,"bbox":[4,2,4,4],"score":1}'
results 4 '"bbox" is not a list of four numbers' '{"image_id":7,"category_id":3,"bbox":[4,2,4],"score":1}'
results 0 '1 of 1 results count for nothing' '{"image_id":7,"category_id":4,"bbox":[4,2,4,4],"score":1}'
results 4 'result 0: not an object' 5
results 4 'x.json: result 0: a mask of 20x11 pixels, but picture 7 has 20x10' \
    '{"image_id":7,"category_id":3,"score":1,"segmentation":{"size":[11,20],"counts":[220]}}' --iou segm
results 4 'x.json: result 0: a polygon of 3 numbers' \
    '{"image_id":7,"category_id":3,"score":1,"bbox":[1,1,2,2],"segmentation":[[1,1,5]]}' --iou segm
for polygon in '{"size":[10,20],"counts":[200]}' '{"x":1}' 5 '"x"' null; do
    results 4 'a polygon of the mask is not a list of numbers' \
        "{\"image_id\":7,\"category_id\":3,\"score\":1,\"bbox\":[1,1,2,2],\"segmentation\":[[1,1,5,1,5,5],$polygon]}"
done
results 4 'neither run lengths nor a list of polygons' \
    '{"image_id":7,"category_id":3,"score":1,"bbox":[1,1,2,2],"segmentation":"zzz"}' --iou segm
results 4 'is not [height, width], each 1 to 32768' \
    '{"image_id":7,"category_id":3,"score":1,"segmentation":{"size":[10.5,20],"counts":[200]}}' --iou segm
results 4 'damaged run lengths' \
    '{"image_id":7,"category_id":3,"score":1,"segmentation":{"size":[10,20],"counts":"zzz"}}' --iou segm
printf '[{"image_id":7' >"$t/x.json" && expect 4 'the end of the file' cocoeval "$t/truth.json" "$t/x.json"
printf '{}' >"$t/x.json" && expect 4 'not a list of results' cocoeval "$t/truth.json" "$t/x.json"

# ---- an earlier report of vov bench ----
past='{"config":"a.cfg","latency_ms":{"p50":1}},'
awk -v past="$past" 'BEGIN{printf "["; for (i = 0; i < 200000; i++) print past; print "5]"}' >"$t/x.json"
expect 4 'an entry has no "config"' bench "$net" --against "$t/x.json"
echo "count $n bad inputs"
