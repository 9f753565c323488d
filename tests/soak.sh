#!/bin/bash
# Repeats the proof list, and the rare twins, until something fails or the time is over: tests/soak.sh BUILD MINUTES
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
end=$((SECONDS + ${2:-60} * 60))
round=0
while [ $SECONDS -lt $end ]; do
    round=$((round + 1))
    echo "round $round, $(((end - SECONDS) / 60)) minutes left"
    "$root/tests/run.sh" "$build" 'proof-*' 'sample-*' 'check-twins_*' || exit 1
done
echo "soaked: $round rounds without a failure"
