#!/bin/bash
# Repeats the proof list, and the rare twins, until something fails or the time is over: tests/soak.sh BUILD MINUTES
# Each of them more often than `make test` does it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
end=$((SECONDS + ${2:-60} * 60))
round=0
while [ $SECONDS -lt $end ]; do
    round=$((round + 1))
    echo "round $round, $(((end - SECONDS) / 60)) minutes left"
    THOROUGH=1 "$root/tests/run.sh" "$build" 'proof-*' 'sample-*' 'check-twins_*' check-hunt check-minimize || exit 1
done
echo "soaked: $round rounds without a failure"
