#!/bin/bash
# How refork ends, for every command, over recordings that are whole, cut off, damaged, of another version, of something else, of nothing.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work

# of_each N PATTERN FILE: every command that reads a recording
of_each() {
    local options
    for command in 'replay --batch' 'replay --script q' explain 'explain --json' info 'info --json' dump; do
        read -ra options <<<"$command"
        says "$1" "$2" "${options[@]}" "$3"
    done
}

says 5 '' record -o good.refork -- sh -c 'echo hello; exit 5'
says 5 '' replay --batch good.refork
[ "$(cat stdout)" = hello ] || fail "replay printed '$(cat stdout)'"
for command in explain info dump; do says 0 '' $command good.refork; done
says 0 '' replay --script q good.refork
says 125 'no event 999999' replay --script q --at 999999 good.refork
says 125 "unknown key|bad|key" replay --script '<Nokey>' good.refork
says 125 "size" replay --script q --size big good.refork

says 120 'waits for ever \(proved\)' record --no-explain -o dead.refork -- "$build/samples/mutex_deadlock"
says 120 'orphaned-lock' record -o dead.refork -- "$build/samples/mutex_deadlock"
says 120 '' replay --batch dead.refork
says 120 '' explain dead.refork
says 120 '' explain --json dead.refork
jq -e .deadlock stdout >/dev/null || fail "explain --json: $(cat stdout)"
says 120 '' explain good.refork dead.refork
says 0 '' dump dead.refork
says 0 '' info dead.refork
grep -qE '^ended +stopped by refork: stuck for ever; a task stuck at event [0-9]+ \(proved\)$' stdout || fail "info of a program that was stopped: $(grep ^ended stdout)"
says 0 '' replay --script q dead.refork

echo '#!/no/such/interpreter' >script
chmod 755 script
mkdir folder
says 127 "no-such-program" record -o none.refork no-such-program
says 127 "no/such/program" record -o none.refork ./no/such/program
says 127 "script" record -o none.refork ./script
says 126 "good.refork" record -o none.refork ./good.refork
says 126 "folder" record -o none.refork ./folder
says 125 "no/such/folder" record -o no/such/folder/x.refork true
[ ! -e none.refork ] || fail "a program that did not start left a recording"

of_each 122 "no-such-file" no-such-file
of_each 122 "folder" folder
: >empty
of_each 122 "empty" empty
of_each 122 "not a refork trace|not a regular file" "$root/README.md"
of_each 122 "not a refork trace|not a regular file" /dev/zero

size=$(stat -c %s good.refork)
head -c $((size - 1000)) good.refork >cut.refork
for command in 'replay --batch' dump; do
    read -ra options <<<"$command"
    says 122 "cut off at byte [0-9]+" "${options[@]}" cut.refork
done
# info and explain tell of what is there, and that it is cut off
says 0 '' info cut.refork
grep -qE 'truncated +yes, at byte [0-9]+' stdout || fail "info of a cut file: $(cat stdout)"

# A bit flipped anywhere: said with its byte by every command, also by one that does not need the piece it is in and has
# printed what it could read
flip() { # FILE BYTE
    cp "$1" flipped.refork
    clean perl -e 'open my $f, "+<", $ARGV[0]; seek $f, $ARGV[1], 0; read $f, my $c, 1; seek $f, $ARGV[1], 0; print $f chr(ord($c) ^ 4)' flipped.refork "$2" || fail perl
}
for ((part = 1; part < 16; part++)); do
    flip good.refork $((size * part / 16))
    for command in 'replay --batch' explain 'explain --json' info 'info --json' dump; do
        read -ra options <<<"$command"
        says 122 "byte [0-9]+" "${options[@]}" flipped.refork
    done
done
# What is damaged keeps nothing back that the rest gives: here the last file's content, a source that the verdict quotes
clean "$refork" dump dead.refork >whole
last=$(clean /usr/bin/python3 - dead.refork <<'END'
import struct, sys
data = open(sys.argv[1], "rb").read()
at, = struct.unpack_from("<I", data, 12)
while True:
    magic, kind, encoding, stored = struct.unpack_from("<IHHI", data, at)
    if kind == 4: break # the index
    if kind == 2: blob = at + 40 + stored // 2 # BLOB
    at += 40 + stored
print(blob)
END
) || fail "no chunks in dead.refork"
flip dead.refork "$last"
says 122 "byte [0-9]+" explain flipped.refork
grep -q 'orphaned-lock' stdout || fail "explain of a damaged recording printed '$(cat stdout)'"
says 122 "byte [0-9]+" dump flipped.refork
cmp stdout whole || fail "dump of a damaged recording printed something else"

# The same file as another refork would have made it: format 99, the header's CRC-32C right
clean /usr/bin/python3 - good.refork other.refork <<'END' || fail python3
import struct, sys
def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8): crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff
data = bytearray(open(sys.argv[1], "rb").read())
size, = struct.unpack_from("<I", data, 12)
assert crc32c(data[:size - 4]) == struct.unpack_from("<I", data, size - 4)[0]
struct.pack_into("<I", data, 8, 99)
data[16:48] = b"7.6.5".ljust(32, b"\0")
struct.pack_into("<I", data, size - 4, crc32c(data[:size - 4]))
open(sys.argv[2], "wb").write(data)
END
of_each 122 "made by refork 7.6.5, format 99; this refork reads format [0-9]+" other.refork

# The TUI on a terminal that cannot move its cursor: 125 and what to do instead (tests/tui/tmux.sh has the other terminals)
clean bash -c 'script -qefc "$1 replay $2" /dev/null' - "$refork" good.refork >stdout 2>&1 </dev/null
got=$?
[ $got = 125 ] || fail "TUI on TERM=dumb: status $got: $(cat stdout)"
grep -q "refork explain" stdout || fail "TUI on TERM=dumb says: $(cat stdout)"
says 0 '' --version
says 0 '' --help
says 125 'usage' </dev/null
rm -rf "$work"
