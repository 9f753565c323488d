#!/bin/bash
# make.sh BUILD: the recordings in tests/traces of this machine's kind of CPU, new. 'make traces' calls it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
here=$root/tests/traces
# A place and an environment that say nothing of this machine: they are in the recordings.
work=$(mktemp -d /tmp/refork-traces-XXXXXX)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
musl-gcc -std=gnu17 -D_GNU_SOURCE -O2 -s -static -o travel "$here/travel.c" -pthread || fail "no travel: musl-gcc: status $?"
flag() { grep -qw -m 1 "$1" /proc/cpuinfo; }

# The kind: the maker, the largest registers, and whether cpuid traps.
vendor=$(sed -nE 's/^vendor_id[^:]*: *//p' /proc/cpuinfo | head -n 1)
case $vendor in GenuineIntel) kind=intel ;; AuthenticAMD) kind=amd ;; *) kind=${vendor,,} ;; esac
if flag amx_tile; then kind+=-amx; elif flag avx512f; then kind+=-avx512; elif flag avx2; then kind+=-avx2; fi

one() { # NAME COMMAND...
    local name=$1
    shift
    env -i PATH=/usr/bin:/bin LANG=C.UTF-8 HOME=/ "$@" record -o "$name.refork" -- ./travel >"$name.out" || fail "record of $name: status $?"
    cp "$name.refork" "$name.out" "$here/"
    echo "tests/traces/$name.refork: $(stat -c %s "$here/$name.refork") bytes"
}
if flag cpuid_fault; then one "$kind-trapped" "$refork"; fi
one "$kind-patched" "$build/tests/programs/no_cpuid_faulting" "$refork"
