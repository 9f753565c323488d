#!/bin/bash
# The line that says how far a hunt and minimize are fits a terminal of any width, and no name of the program acts on the
# terminal: each line is within the width, and "to the line's start" and "clear the rest" are the only controls.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work

# The lock is taken in a function whose name has wide characters and escape sequences, in a file whose name has one, too.
grep -q log_begin "$root/samples/mutex_deadlock.c" || fail "the sample has no function 'log_begin' any more"
gcc -O0 -fno-inline -c -D_GNU_SOURCE -I"$root" -o prog.o "$root/samples/mutex_deadlock.c" || fail "gcc"
objcopy --redefine-sym "log_begin=$(printf '取\033[2J\033]0;evil\007ロックするとても長い名前の関数です')" prog.o || fail "objcopy"
gcc -o "$(printf 'pro\033[31mgram')" prog.o -pthread || fail "link"

# shown COLUMNS NAME COMMAND...: what the command writes on a terminal so wide is in NAME.
shown() {
    local columns=$1 name=$2
    shift 2
    patiently 120 "${as_clean[@]}" SHELL=/bin/bash script -qc "stty -echo cols $columns rows 20; exec $(printf '%q ' "$@")" "$name" </dev/null >/dev/null
    python3 - "$columns" "$name" <<'END' || fail "$name at $columns columns"
import re, sys, unicodedata
columns, name = int(sys.argv[1]), sys.argv[2]
text = open(name, errors="surrogateescape", newline="").read()
lines = re.findall(r"\r(refork: [^\r\n]*?)\x1b\[K", text)
if not lines:
    sys.exit("no line of progress: %r" % text[-600:])
for line in lines:
    wide = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)
    if wide >= columns or re.search(r"[\x00-\x1f\x7f-\x9f]", line):
        sys.exit("%d columns: %r" % (wide, line))
if columns > 150 and "hunt" in name and "evil?" not in text: # in a line of progress, or in the report of a hunt that its first run ended
    sys.exit("the lock's function is not named: %r" % text[-600:])
left = re.sub(r"\r(refork: [^\r\n]*?)?\x1b\[K", "", text)
bad = re.search(r"[^\n]*\x1b[^\n]*", left.split("\n", 1)[1])  # script's first line has the command
if bad:
    sys.exit("a control: %r" % bad.group())
END
}
for columns in 30 200; do
    rm -f found*
    shown $columns "hunt-$columns" "$refork" hunt --seed 1 -o found.refork -- ./pro*gram
    [ -e found.refork ] || fail "nothing was found: $(tail -5 "hunt-$columns")"
done
shown 40 minimize-40 "$refork" minimize --runs 4 -o least found.refork
rm -rf "$work"
