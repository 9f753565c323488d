#!/bin/bash
# make install puts three files below DESTDIR, and the installed refork runs; make deps touches nothing when all is there.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
stage=$out/stage
rm -rf "$stage"
cd "$root" || exit 1
make --no-print-directory BUILD="$build" -o all DESTDIR="$stage" PREFIX=/usr install >"$out/install" 2>&1 || fail "$(cat "$out/install")"
"$stage/usr/bin/refork" --version >/dev/null || fail "the installed refork does not run"
[ -s "$stage/usr/share/man/man1/refork.1" ] && [ -s "$stage/usr/share/bash-completion/completions/refork" ] || fail "missing: $(find "$stage")"
[ "$(find "$stage" -type f | wc -l)" = 3 ] || fail "more than expected: $(find "$stage" -type f)"
[ -z "$(make --no-print-directory deps)" ] || fail "make deps does something although all packages are there"
grep -q 'make test' <<<"$(make --no-print-directory help)" || fail "make help"
make --no-print-directory BUILD="$build" -o all DESTDIR="$stage" PREFIX=/usr uninstall >/dev/null
[ "$(find "$stage" -type f | wc -l)" = 0 ] || fail "uninstall left $(find "$stage" -type f)"
