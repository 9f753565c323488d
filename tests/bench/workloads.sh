# shellcheck shell=bash disable=SC2154,SC2034 # sourced after lib.sh: $root, $build, $work
# What the bench runs, by name; sets $names to those that were asked for.
bench=$build/tests/bench
"$root/tests/proof/data.sh" "$build" || exit 1
declare -A workload=(
    [true]="/usr/bin/true" [compute]="$bench/compute" [syscalls]="$bench/syscalls" [time]="$bench/time" [locks]="$bench/locks" [turns]="$bench/turns" [forks]="$bench/forks"
    [maps]="$bench/maps"
    [python]="/usr/bin/python3 -c 'import json'" [gcc]="gcc -O2 -c -o $work/table.o $build/test-data/project/table.c"
    [queue]="/usr/bin/python3 $root/tests/bench/threads.py"
    [sqlite]="bash -c 'rm -f \"\$1\"; sqlite3 \"\$1\" <\"\$2\"' - $work/rows.db $root/tests/bench/rows.sql"
)
names=("$@")
[ $# -gt 0 ] || names=(true compute syscalls time locks turns forks maps python gcc queue sqlite redis waits hangs tui rare)
