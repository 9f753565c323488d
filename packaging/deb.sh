#!/bin/bash
# Builds the Debian package of this tree: packaging/deb.sh BUILD. It ends up as BUILD/deb/refork_VERSION_amd64.deb, and lintian has
# nothing to say of it.
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/.."
version=$(sed -nE 's/^#define REFORK_VERSION "(.*)"/\1/p' core/version.h)
work=$build/deb
rm -rf "$work"
mkdir -p "$work/refork-$version"
# The sources as they are here, without what was built
tar -c --exclude=./build --exclude='./build-*' --exclude=./.git . | tar -x -C "$work/refork-$version"
cd "$work/refork-$version"
mv packaging/debian debian
# The date of the newest source: the same tree makes the same package.
newest=$(find . -type f -printf '%T@\n' | sort -n | tail -n 1)
# dpkg's tools know DEBFULLNAME and DEBEMAIL; a package of root's is none for lintian.
maintainer="${DEBFULLNAME:-refork built at home} <${DEBEMAIL:-refork@$(hostname)}>"
for file in control changelog; do
    sed -e "s/@VERSION@/$version/" -e "s/@MAINTAINER@/$maintainer/" -e "s/@DATE@/$(date -R -u -d "@${newest%.*}")/" \
        "debian/$file.in" >"debian/$file"
    rm "debian/$file.in"
done
# The compiler and its flags come from dpkg, not from who called make.
env -u MAKEFLAGS -u MFLAGS -u CC -u CI -u WERROR dpkg-buildpackage -b -us -uc -j"$(nproc)" >"$work/log" 2>&1 ||
    { tail -n 30 "$work/log"; exit 1; } >&2
package=$work/refork_${version}_amd64.deb
lintian --fail-on error,warning --info --allow-root --no-cfg "$package"
echo "$package"
