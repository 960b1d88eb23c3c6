#!/bin/sh
# embedding.sh - the program in docs/embedding.md compiles without warnings against vov.h alone, runs
# with the shared library, and finds what `vov detect` finds.
set -eu
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
fail() {
    echo "$1"
    exit 1
}
build=${VOV_BUILD:-build/release}
case $build in
*asan | *ubsan | *tsan)
    echo "needs a plain build of the library"
    exit 77
    ;;
esac

make -s KIND="$(basename "$build")" lib >/dev/null
mkdir "$t/include"
cp src/vov.h "$t/include/"
sed -n '/^```c$/,/^```$/p' docs/embedding.md | sed '1d;$d' >"$t/find.c"
${CC:-cc} -std=c17 -Wall -Wextra -Wpedantic -Werror -I"$t/include" "$t/find.c" -o "$t/find" \
    -L"$build" -lvov -Wl,-rpath,"$t"
ln -sf "$PWD/$build/libvov.so" "$t/libvov.so.0"

./vov data draw -q "$t/set" --images 10 --size 64 --classes 4
./vov train tests/cli/tiny.cfg "$t/set/drawn.data" --out "$t/run" --epochs 1 -q

# A bright square on grey, as a PPM.
awk 'BEGIN { printf "P6\n80 60\n255\n"
             for (y = 0; y < 60; y++) for (x = 0; x < 80; x++)
                 printf("%s", (x > 20 && x < 50 && y > 10 && y < 40) ? "~~~" : "///") }' >"$t/p.ppm"
"$t/find" tests/cli/tiny.cfg "$t/run/last.safetensors" "$t/p.ppm" >"$t/out" || fail "it failed"
awk 'NF != 6 || $2 + 0 <= 0.3 || $2 + 0 > 1 { exit 1 }' "$t/out" || { cat "$t/out"; fail "odd output"; }
code=0
"$t/find" tests/cli/tiny.cfg "$t/p.ppm" "$t/p.ppm" 2>"$t/out" || code=$?
[ $code = 1 ] && grep -q 'p.ppm' "$t/out" || fail "bad weights: exit $code"
