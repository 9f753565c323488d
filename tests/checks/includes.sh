#!/bin/bash
# Includes go one way: cli -> all; search -> recorder, replayer; tui -> replayer; all -> core. No file has more than 800 lines.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1
declare -A allowed=(
    [core]="core" [recorder]="core recorder" [replayer]="core replayer" [tui]="core replayer tui"
    [search]="core recorder replayer search"
    [cli]="core recorder replayer search tui cli"
)
bad=0 seen=0
for file in {core,recorder,replayer,search,tui,cli}/{,*/}*.[ch]; do
    [ -f "$file" ] || continue
    room=${file%%/*}
    while read -r include; do
        seen=$((seen + 1))
        [[ $include == */* ]] || { echo "$file: \"$include\" is without its room"; bad=1; }
        [[ " ${allowed[$room]} " == *" ${include%%/*} "* ]] || { echo "$file: $room must not include \"$include\""; bad=1; }
    done < <(sed -nE 's/^#include "([^"]+)".*/\1/p' "$file")
done
[ $seen -gt 50 ] || fail "only $seen includes found: is the check broken?"
for file in {core,recorder,replayer,search,tui,cli,samples}/{,*/}* tests/*.sh tests/*/*.[ch] tests/*/*.sh; do
    [ -f "$file" ] || continue
    lines=$(wc -l <"$file")
    [ "$lines" -le 800 ] || { echo "$file has $lines lines"; bad=1; }
done
[ $bad = 0 ] || fail "see above"
