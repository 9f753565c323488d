#!/bin/bash
# make install puts refork, a manual page for each command, three completions, the samples and the lessons below DESTDIR, and the installed refork runs; make
# uninstall removes them; make deps touches nothing when all is there.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
stage=$out/stage
rm -rf "$stage"
cd "$root" || exit 1
quiet_make() { make --no-print-directory BUILD="$build" -o all DESTDIR="$stage" PREFIX=/usr "$@" >"$out/install" 2>&1 || fail "$(cat "$out/install")"; }
quiet_make install
"$stage/usr/bin/refork" --version >/dev/null || fail "the installed refork does not run"
share=$stage/usr/share
expected=(bin/refork share/man/man1/refork.1 share/bash-completion/completions/refork share/zsh/site-functions/_refork
    share/fish/vendor_completions.d/refork.fish)
for command in $("$refork" help --words); do expected+=("share/man/man1/refork-$command.1"); done
for file in samples/*.c samples/*.cc samples/*.h samples/learn/*; do expected+=("share/refork/$file"); done
diff <(printf '%s\n' "${expected[@]}" | sort) <(cd "$stage/usr" && find . -type f | sed 's,^\./,,' | sort) || fail "not what is expected"
for page in "$share"/man/man1/*; do
    [ -z "$(mandoc -Tlint -Wwarning "$page")" ] || fail "$page: $(mandoc -Tlint -Wwarning "$page")"
done
[ -z "$(make --no-print-directory deps)" ] || fail "make deps does something although all packages are there"
grep -q 'make test' <<<"$(make --no-print-directory help)" || fail "make help"
quiet_make uninstall
[ "$(find "$stage" -type f | wc -l)" = 0 ] || fail "uninstall left $(find "$stage" -type f)"
