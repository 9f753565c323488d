#!/bin/bash
# Runs the tests, as many at a time as there are cores, and ends with "N passed, N failed".
#   tests/run.sh BUILD [PATTERN...]     PATTERN: of the tests' names, as 'proof-*'
# A test is a command: it passes with status 0, is skipped with 77, and has failed otherwise.
# Its output is kept in BUILD/test-out/NAME.log.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
shift
patterns=("${@:-*}")
cd "$root" || exit 1

names=() commands=()
add() {
    local name=$1 pattern
    shift
    for pattern in "${patterns[@]}"; do
        # shellcheck disable=SC2053 # a pattern on purpose
        [[ $name == $pattern ]] || continue
        names+=("$name") commands+=("$(printf '%q ' "$@")")
        return
    done
}

for source in tests/unit/*.c; do
    name=$(basename "$source" .c)
    [ -e "$source" ] && add "unit-${name#test_}" "$build/tests/unit/$name"
done
# The long ones first, so that the end is not one of them alone.
while read -r name; do add "proof-$name" tests/proof/run.sh "$build" "$name"; done < <(tests/proof/run.sh "$build" --list)
for source in samples/*.c samples/*.cc; do
    name=$(basename "${source%.*}")
    add "sample-$name" tests/sample.sh "$build" "$name"
done
while read -r -a words; do add "case-$(IFS=-; echo "${words[*]}")" tests/case.sh "$build" "${words[@]}"; done < <(tests/case.sh "$build" --list)
while read -r name; do add "server-$name" tests/server.sh "$build" "$name"; done < <(tests/server.sh "$build" --list)
for script in tests/checks/*.sh; do add "check-$(basename "$script" .sh)" "$script" "$build"; done
add tui-golden tests/tui/golden.sh "$build/tests/tui/fixture_tui"
add tui-tmux tests/tui/tmux.sh "$build/tests/tui/fixture_tui"
# 10,000 mutated traces in all, read by an ASan and UBSan build
for part in 0 1 2 3; do add "fuzz-$part" tests/fuzz.sh "$build" $((part * 2500 + 1)) 2500; done
[ ${#names[@]} -gt 0 ] || { echo "no test is called ${patterns[*]}" >&2; exit 1; }

passed=0 failed=0 skipped=0
failures=()
declare -A running=() started=()
trap 'kill "${!running[@]}" 2>/dev/null; exit 130' INT TERM

count() { # NAME STATUS: adds up; a cmocka program counts by its cases
    local name=$1 status=$2 log=$out/$1.log good=0 bad=0 seconds
    seconds=$(((${EPOCHREALTIME/[.,]/} - started[$name]) / 100000))
    seconds=$((seconds / 10)).$((seconds % 10))
    good=$(sed -nE 's/^\[  PASSED  \] ([0-9]+) test.*/\1/p' "$log" | awk '{n += $1} END {print n + 0}')
    bad=$(sed -nE 's/^\[  FAILED  \] [^:]*: ([0-9]+) test.*/\1/p' "$log" | awk '{n += $1} END {print n + 0}')
    case $status in
    0)
        passed=$((passed + (good > 0 ? good : 1)))
        printf 'ok      %s (%s s)\n' "$name" "$seconds"
        ;;
    77)
        skipped=$((skipped + 1))
        printf 'skipped %s: %s\n' "$name" "$(sed -n 's/^SKIPPED: //p' "$log" | tail -n 1)"
        ;;
    *)
        passed=$((passed + good))
        failed=$((failed + (bad > 0 ? bad : 1)))
        failures+=("$name")
        printf 'FAILED  %s (%s s, status %s)\n' "$name" "$seconds" "$status"
        tail -n 25 "$log" | sed 's/^/        /'
        ;;
    esac
}

finish_one() {
    local pid status
    wait -n -p pid "${!running[@]}"
    status=$?
    count "${running[$pid]}" "$status"
    unset "running[$pid]"
}

if [[ " ${names[*]} " == *" proof-"* ]]; then tests/proof/data.sh "$build" || exit 1; fi
slots=$(nproc)
for i in "${!names[@]}"; do
    while [ ${#running[@]} -ge "$slots" ]; do finish_one; done
    name=${names[i]}
    started[$name]=${EPOCHREALTIME/[.,]/}
    eval "exec tests/within.sh ${TEST_TIMEOUT:-600} ${commands[i]}" </dev/null >"$out/$name.log" 2>&1 &
    running[$!]=$name
done
while [ ${#running[@]} -gt 0 ]; do finish_one; done

[ $failed -eq 0 ] || printf '\nfailed: %s\n(the whole output of each: %s/NAME.log)\n' "${failures[*]}" "$out"
printf '%d passed, %d failed' "$passed" "$failed"
[ $skipped -eq 0 ] || printf ', %d skipped' "$skipped"
printf '\n'
[ $failed -eq 0 ] && [ $passed -gt 0 ]
