# shellcheck shell=bash
# How long to wait for a state: in seconds of a machine that has nothing else to do. On one with more tasks than cores a
# second of waiting is worth less, since whoever is waited for gets less of it. Sourced by lib.sh and within.sh.
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
