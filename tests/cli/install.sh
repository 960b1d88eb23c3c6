#!/bin/sh
# make install: what it puts where, that a program builds against it, and that make uninstall takes
# it all away.
set -eu
build=${VOV_BUILD:-build/release}
case $build in
*release) ;;
*)
    echo "needs the release build"
    exit 77
    ;;
esac
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
fail() {
    echo "$1"
    exit 1
}

make -s install DESTDIR="$t/root" PREFIX=/usr >"$t/log" 2>&1 || fail "$(cat "$t/log")"
cd "$t/root/usr"
for f in bin/vov lib/libvov.a lib/libvov.so.0.1.0 include/vov.h lib/pkgconfig/vov.pc \
    share/man/man1/vov.1 share/man/man1/vov-train.1 share/man/man1/vov-data-check.1 \
    share/man/man5/vov-config.5 share/vov/cfg/backbone/vovnet39.cfg; do
    [ -s "$f" ] || fail "$f is missing"
done
[ "$(readlink lib/libvov.so)" = libvov.so.0 ] || fail "libvov.so does not lead to the soname"
[ "$(readlink lib/libvov.so.0)" = libvov.so.0.1.0 ] || fail "the soname does not lead to the file"
objdump -p lib/libvov.so | grep -q 'SONAME *libvov.so.0$' || fail "no soname in libvov.so"
grep -q 'build/\|/root' lib/pkgconfig/vov.pc && fail "vov.pc names the build folder"
[ -z "$(nm -g --defined-only lib/libvov.a | awk '$2 ~ /[A-Z]/ && $3 !~ /^vov_/')" ] ||
    fail "libvov.a has global names that do not begin with vov_"
bin/vov --version >/dev/null

cat >"$t/use.c" <<'C'
#include <vov.h>
#include <stdio.h>
int main(void)
{
    struct vov_error error = {0};
    vov_model *model;
    enum vov_status status = vov_open(&model, "/no/such.cfg", NULL, NULL, &error);
    puts(error.text);
    return status == VOV_ECFG ? 0 : 1;
}
C
export PKG_CONFIG_PATH="$t/root/usr/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$t/root"
# shellcheck disable=SC2046 # flags are words
gcc "$t/use.c" -o "$t/shared" $(pkg-config --cflags --libs vov)
LD_LIBRARY_PATH=$t/root/usr/lib "$t/shared" >/dev/null || fail "the shared library fails"
# shellcheck disable=SC2046
gcc "$t/use.c" -o "$t/static" -I include lib/libvov.a \
    $(PKG_CONFIG_PATH='' PKG_CONFIG_SYSROOT_DIR='' pkg-config --libs libpng libjpeg \
        libcjson expat) -lm -pthread
"$t/static" >/dev/null || fail "the static library fails"

cd "$OLDPWD"
make -s uninstall DESTDIR="$t/root" PREFIX=/usr >"$t/log" 2>&1 || fail "$(cat "$t/log")"
[ -z "$(find "$t/root" ! -type d)" ] || fail "left behind: $(find "$t/root" ! -type d)"
