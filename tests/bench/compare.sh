#!/bin/bash
# make bench BASE=OTHER: this refork beside another one, as the commit before: record, replay and explain of the same programs, by turns.
# OTHER is a refork, its build folder, or the folder of a repository that was built. What is compared is CPU time (user and system, of
# refork and what it traces): what else the machine does shows in it least. Each recording is replayed by the refork that made it.
#   tests/bench/compare.sh BUILD OTHER [WORKLOAD...]     ROUNDS=7
# Ends with 1 if this one is slower: if its best run takes longer than half of the other one's runs, and 2% more than the best of them.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
base=
for candidate in "$2/build/refork" "$2/refork" "$2"; do
    if [ -f "$candidate" ] && [ -x "$candidate" ]; then
        base=$(realpath "$candidate")
        break
    fi
done
[ -n "$base" ] || { echo "bench: no refork in '$2': build it there first" >&2; exit 125; }
shift 2
rounds=${ROUNDS:-7}
in_work
# shellcheck source=tests/bench/workloads.sh
. "$root/tests/bench/workloads.sh"

timed() { # NAME WAY WHO STATUS COMMAND...: appends "SECONDS MAXRSS STATUS CPU" to NAME.WAY.WHO
    local file=$1.$2.$3 want=$4 got
    shift 4
    clean "$bench/measure" free "$@" 3>>"$file" >"$file.out" 2>"$file.err" </dev/null
    got=$(tail -n 1 "$file" | cut -d' ' -f3)
    [ "$got" = "$want" ] || { echo "bench: $* ended with $got: $(tail -n 2 "$file.err")" >&2; exit 125; }
}

round() { # NAME WHO REFORK STATUS COMMAND...
    local name=$1 who=$2 program=$3 status=$4
    shift 4
    rm -f "$who.refork"*
    timed "$name" record "$who" "$status" "$program" record --no-explain -o "$who.refork" -- "$@"
    timed "$name" replay "$who" "$status" "$program" replay --batch "$who.refork"
    [ "$status" != 120 ] || timed "$name" explain "$who" 120 "$program" explain "$who.refork"
}

slower=0
printf '%d runs of each by turns, seconds of CPU: best (median)\n%-18s %20s %20s\n' "$rounds" '' 'the other' this
compare() { # NAME STATUS COMMAND...
    local name=$1 way i
    for ((i = 0; i < rounds; i++)); do
        round "$name" other "$base" "${@:2}"
        round "$name" this "$refork" "${@:2}"
    done
    for way in record replay explain; do
        [ -e "$name.$way.this" ] || continue
        paste -d' ' <(cut -d' ' -f4 "$name.$way.other" | sort -g) <(cut -d' ' -f4 "$name.$way.this" | sort -g) |
            awk -v what="$name $way" '{other[NR] = $1; this[NR] = $2}
                END {
                    middle = int((NR + 1) / 2)
                    slow = this[1] > other[middle] && this[1] > other[1] * 1.02
                    printf "%-18s %10.3f (%.3f) %10.3f (%.3f)  %+.1f%%%s\n", what, other[1], other[middle], this[1], this[middle],
                        (this[1] / other[1] - 1) * 100, slow ? "  SLOWER" : ""
                    exit slow
                }' || slower=1
    done
}
for name in "${names[@]}"; do
    case $name in
    rare) compare verdict 120 "$bench/verdict" 10000 ;; # in its place: how many runs a rare deadlock needs is no matter of speed
    hangs | tui | redis) ;; # not a matter of speed either
    *)
        eval "words=(${workload[$name]})"
        # shellcheck disable=SC2154 # by eval
        compare "$name" 0 "${words[@]}"
        ;;
    esac
done
exit $slower
