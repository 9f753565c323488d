# shellcheck shell=bash disable=SC2034
# What the test scripts share. Sourced with the build folder in $1: sets $root, $build, $refork, $out.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$(cd "$1" && pwd) || exit 1
refork=$build/refork
export out=${out:-$build/test-out}
mkdir -p "$out"

# Runs a command in an environment of its own: nothing of the caller's shell, locale or Python settings gets in.
# In a subshell `exec "${as_clean[@]}" ...` leaves no bash behind that would say "Aborted" into the program's stderr.
mkdir -p "$out/home"
as_clean=(env -i PATH=/usr/bin:/bin LANG=C.UTF-8 "HOME=$out/home" TERM=dumb)
clean() { "${as_clean[@]}" "$@"; }

# The test failed: says why, and how to look at it.
fail() {
    printf 'FAILED: %s\n' "$*"
    exit 1
}

# This machine cannot run the test: counted apart, never as passed.
skip() {
    printf 'SKIPPED: %s\n' "$*"
    exit 77
}

# Polls until the command succeeds; gives up when a minute and a half of an idle machine is over (tests/patience.sh): a hang must
# not stop the suite, and a machine that has other work must not fail it.
. "$root/tests/patience.sh"
until_true() {
    local left=90000 worth
    while [ $left -gt 0 ]; do
        "$@" && return 0
        read -r -t 0.01 <> <(:) || :
        patience_worth 15 # the command's own time, too
        left=$((left - worth))
    done
    return 1
}

# patiently SECONDS COMMAND...: ends what hangs, with status 124, when so much patience is used up.
patiently() { "$root/tests/within.sh" "$@"; }
