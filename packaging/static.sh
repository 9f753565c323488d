#!/bin/bash
# Links refork without shared libraries, for machines and containers that have none: packaging/static.sh BUILD CC LDFLAGS OBJECT...
# The program is BUILD/refork-static. Debian has no static Zydis: its source package is built here, in BUILD/zydis.
set -euo pipefail
build=$(realpath "$1") cc=$2
shift 2
zydis=$build/zydis
if [ ! -e "$zydis/libZydis.a" ]; then
    rm -rf "$zydis"
    mkdir -p "$zydis"/{lists/partial,cache/archives/partial,zydis}
    # A list of its own: the machine's sources stay as they are. Its mirror is the one that the machine uses.
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -m 1 '/debian$' || echo http://deb.debian.org/debian)
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    echo "deb-src $mirror $release main" >"$zydis/sources.list"
    apt=(apt-get -qq -o "Dir::Etc::SourceList=$zydis/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$zydis/lists" -o "Dir::Cache=$zydis/cache" -o APT::Sandbox::User=)
    "${apt[@]}" update
    (cd "$zydis" && "${apt[@]}" source --download-only zydis)
    tar -xf "$zydis"/zydis_*.orig.tar.* -C "$zydis/zydis" --strip-components=1
    (
        cd "$zydis/zydis"
        find src -name '*.c' -exec "$cc" -O2 -DZYDIS_STATIC_BUILD -DZYCORE_STATIC_BUILD -Iinclude -Isrc -c {} +
        ar rcs ../libZydis.a ./*.o
    )
fi
# libdw reads compressed debug information with zlib, bzip2 and lzma. What glibc loads at run time (names of users) refork does not use.
"$cc" -static -o "$build/refork-static" "$@" "$zydis/libZydis.a" -Wl,--start-group \
    -lzstd -lxxhash -lunwind -lunwind-x86_64 -ldw -lelf -lncursesw -ltinfo -ljansson -lseccomp -lz -lbz2 -llzma \
    -Wl,-u,__cxa_demangle -lstdc++ -lpthread -Wl,--end-group
