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
    -L"$build" -lvov -Wl,-rpath,"$PWD/$build"
ln -sf "$PWD/$build/libvov.so" "$t/libvov.so.0"

./vov data draw --help >/dev/null 2>&1 || exit 77
./vov data draw "$t/set" --images 24 --size 64 >/dev/null
./vov train tests/cli/tiny.cfg "$t/set/drawn.data" --out "$t/run" --epochs 2 -q
picture=$(find "$t/set/images/val" -name "*.jpg" | sort | head -n 1)
[ -n "$picture" ] || fail "no picture to look at"
