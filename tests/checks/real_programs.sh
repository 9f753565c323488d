#!/bin/bash
# Programs of the list that are quick, as far as the machine has them: exact. `make programs-table` tries all.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
"$root/tests/real/programs.sh" "$build" fish git openssl perl python3-fork jq gawk bc >table || fail "programs.sh: status $?"
cat table
[ "$(wc -l <table)" -gt 4 ] || fail "hardly any program of the list is here"
! sed 1,2d table | grep -v '| exact |$' || fail 'not all of them are exact'
