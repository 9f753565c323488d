#!/bin/bash
# refork learn: the list, a lesson as text and as screens, from the sources and from an installation, and what it says when something
# is missing.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
export TMPDIR=$work # its folders are looked for below
as_clean+=("TMPDIR=$work")

ends 0 learn --list
grep -q '^orphaned_lock ' stdout || fail "the list: $(cat stdout)"
says 125 "no lesson 'nobody'.*--list" learn nobody

# A lesson's screens: text, question, answer, recording, the TUI on it with and without the verdict, verdict, fix, proof.
ends 0 learn orphaned_lock --script '<PgDn> <Dump question>a<Dump wrong><PgDn> <Dump recording>r<Dump hidden>v<Dump shown>qG <Dump verdict>G <Dump fix>G <Dump proof>fv<Dump ended>q<Dump back>'
shows() { grep -qE -- "$2" "$1" || fail "$1 does not show '$2': $(cat "$1")"; }
shows question '^ a b c d choose'
shows wrong 'You chose a: that is not so'
shows recording 'mutex_deadlock.c hangs: it was stopped'
shows hidden 'the verdict is hidden'
grep -q log_mutex hidden && fail "the verdict is not hidden: $(cat hidden)"
shows shown 'DEADLOCK.*waits for ever for log_mutex'
shows verdict 'Finding 1 of 2: orphaned-lock'
shows fix 'The fix'
shows proof 'fixed: '
shows ended 'no deadlock in this recording'
shows back 'fixed: '

# Installed, and without a compiler: it says what is missing. Nothing is left behind.
make -s -C "$root" BUILD="$build" -o all install PREFIX="$work/prefix" >install.log 2>&1 || fail "make install: $(cat install.log)"
refork=$work/prefix/bin/refork
ends 0 learn --list
grep -q '^orphaned_lock ' stdout || fail "the installed list: $(cat stdout)"
clean env PATH="$work" "$refork" learn orphaned_lock >stdout 2>stderr </dev/null
[ $? = 125 ] || fail "without a compiler: $(cat stderr)"
grep -q "no compiler 'cc' here" <(tr '\n' ' ' <stdout) || fail "without a compiler: $(cat stdout)"
grep -q "lib/refork/samples/mutex_deadlock" stdout || fail "it does not say which program is missing: $(cat stdout)"
# With the programs installed
make -s -C "$root" BUILD="$build" -o all install-lessons PREFIX="$work/prefix" >install.log 2>&1 || fail "make install-lessons: $(cat install.log)"
mkdir nocc
for tool in env true; do ln -s "$(command -v $tool)" nocc/; done
clean env PATH="$work/nocc" "$refork" learn exit_in_child >stdout 2>stderr </dev/null || fail "with programs, without a compiler: $(cat stderr stdout)"
grep -q '^fixed: ' stdout || fail "with programs, without a compiler: $(cat stdout)"
grep -q "prefix/share/refork/samples/libc_atexit.c" stdout || fail "its source is not found: $(cat stdout)"
compgen -G "$work/refork-learn-*" && fail "left behind: $(ls)"
rm -rf "$work"
