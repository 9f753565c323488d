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

# Polls until the command succeeds; gives up after a minute and more of trying (a hang must not stop the suite).
until_true() {
    local i
    for ((i = 0; i < 6000; i++)); do
        "$@" && return 0
        read -r -t 0.01 <> <(:) || :
    done
    return 1
}
