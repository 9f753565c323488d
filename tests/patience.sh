# shellcheck shell=bash
# How long to wait for a state: in seconds of a machine that has nothing else to do. On one with more tasks than cores a
# second of waiting is worth less, since whoever is waited for gets less of it. Sourced by lib.sh, within.sh and tui/tmux.sh.
patience_cores=$(nproc)

# patience_worth MS: sets $worth to what MS milliseconds of waiting are worth now, by the load average of the last minute
# (which counts who wants a core and who waits for a disk).
patience_worth() {
    local load _
    worth=$1
    read -r load _ </proc/loadavg || return 0
    load=$((10#${load/./})) # in hundredths
    [ "$load" -le $((patience_cores * 100)) ] || worth=$(($1 * patience_cores * 100 / load))
    [ "$worth" -gt 0 ] || worth=1
}

# until_true COMMAND...: polls until it succeeds. Gives up when $until_ms (90,000) milliseconds of an idle machine are over: a hang must
# not stop the suite, and a machine that has other work must not fail it.
until_true() {
    local left=${until_ms:-90000} worth
    while [ "$left" -gt 0 ]; do
        "$@" && return 0
        read -r -t 0.01 <> <(:) || :
        patience_worth 15 # the command's own time, too
        left=$((left - worth))
    done
    return 1
}
