# shellcheck shell=bash disable=SC2154,SC2034 # sourced after lib.sh
# What the checks of processes that hang right now share: programs that are begun, looked at and ended.
in_work
hang=$build/tests/programs/hang
pids=()
trap '((${#pids[@]})) && kill -9 "${pids[@]}" 2>/dev/null' EXIT

# begin PROGRAM ARG...: starts it with a pipe for stdin; $pid, its stdout in ./stdout
begin() {
    exec {hold}<> <(:)
    : >stdout # of the one before: it says "ready"
    "${as_clean[@]}" "$@" <&"$hold" >stdout 2>stderr &
    pid=$!
    pids+=("$pid")
    until_true grep -q "${ready:-^ready}" stdout || fail "$*: not ready: $(cat stdout stderr)"
}
# Ends it and all that it forked.
finish() {
    local child
    for child in $(pgrep -P "$pid"); do
        pids+=("$child")
        kill -9 "$child"
    done
    kill -9 "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    exec {hold}<&-
}
