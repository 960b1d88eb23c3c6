#!/bin/sh
# neon.sh - the kernels for aarch64 against the reference loops: the tests of tests/unit/test_cpu_*.c,
# built by Debian's cross compiler without any library but libc, and run by qemu.
set -eu
CC=aarch64-linux-gnu-gcc
for tool in $CC qemu-aarch64; do
    command -v $tool > /dev/null || {
        echo "$tool is not installed; on Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
        exit 77
    }
done
[ "${VOV_BUILD:-build/release}" = build/release ] || {
    echo "runs with the release build only"
    exit 77
}
! command -v ccache > /dev/null || CC="ccache $CC"
make -s -j2 KIND=aarch64 CC="$CC" kernel-tests > /dev/null
for t in build/aarch64/tests/bare/test_cpu_*; do
    case $t in *.d) continue ;; esac
    TEST_STRIDE=${TEST_STRIDE:-13} qemu-aarch64 -L /usr/aarch64-linux-gnu "$t" || {
        echo "FAIL: $t"
        exit 1
    }
done
