#!/bin/bash
# Recordings to give away: `refork strip`, `record --no-env`, and the verdict that is stored in a recording.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
program=$build/samples/mutex_deadlock
as_clean+=(SECRET=hunter2-is-nobodys-business)

ends 120 record -o all.refork -- "$program"
ends 120 explain --json all.refork
mv stdout all.json

# ---- strip: the same program, the same verdict
ends 0 strip -o less.refork all.refork
tr -s ' \n' '  ' <stdout >said
grep -q 'taken out, values of the environment: .*SECRET' said || fail "strip does not name the value: $(cat stdout)"
grep -q 'sources that the verdict quotes' said || fail "strip does not name the sources: $(cat stdout)"
ends 120 replay --batch less.refork
ends 120 explain --json less.refork
cmp stdout all.json || fail "another verdict"
[ "$(stat -c %a less.refork)" = 600 ] || fail "others may read it"
ends 125 strip -o all.refork all.refork
ends 125 strip all.refork
grep -q -- '-o FILE' stderr || fail "no way out: $(cat stderr)"
head -c 3000 all.refork >cut.refork
ends 122 strip -o none.refork cut.refork
[ ! -e none.refork ] && [ ! -e none.refork.part ] || fail "a file is left"

# ---- record --no-env
ends 120 record --no-env -o private.refork -- "$program"
grep -q 'taken out, values of the environment' stderr || fail "record --no-env says nothing: $(cat stderr)"
ends 120 explain private.refork
ends 0 strip -o again.refork private.refork

# ---- the stored verdict, without ptrace
without() { "${as_clean[@]}" "$build/tests/programs/no_ptrace" "$refork" "$@" >stdout 2>stderr; }
for file in all.refork less.refork; do
    without explain $file
    [ $? = 120 ] || fail "explain without ptrace: $(cat stdout stderr)"
    grep -q 'as recorded by refork' stdout && grep -q '^deadlock: ' stdout || fail "explain without ptrace: $(cat stdout)"
    grep -q . stderr || fail "not said why"
done
without explain --json all.refork
jq -e '.recorded_by and .deadlock' stdout >/dev/null || fail "explain --json without ptrace: $(cat stdout)"
clean /usr/bin/python3 "$root/tests/verdict_schema.py" "$root/docs/verdict.schema.json" stdout || fail "not what the schema says"
without explain --sarif all.refork
[ $? = 125 ] || fail "SARIF of a stored verdict"
without replay --batch all.refork && fail "a replay without ptrace"
ends 120 explain --stored all.refork
ends 120 record --no-explain -o silent.refork -- "$program"
ends 125 explain --stored silent.refork
grep -q 'no verdict is stored' stderr || fail "not said that there is none: $(cat stderr)"

# ---- only the verdict
ends 0 strip --verdict-only -o only.refork silent.refork
[ "$(stat -c %s only.refork)" -lt 20000 ] || fail "a verdict of $(stat -c %s only.refork) bytes"
ends 120 explain only.refork
grep -q '^deadlock: ' stdout || fail "no verdict: $(cat stdout)"
clean "$refork" explain --fail-on proved all.refork >stdout 2>stderr
ends $? explain --fail-on proved only.refork
for command in 'replay --batch' locks lint 'export --to html -o -'; do
    # shellcheck disable=SC2086 # words
    ends 125 $command only.refork
    grep -q 'holds only a verdict' stderr || fail "$command: $(cat stderr)"
done
ends 0 info only.refork
ends 0 dump only.refork

# ---- nothing of it is believed: names of the program with escape sequences
evil=$'ho\e[31mst'
cp "$program" "./$evil"
ends 120 record -o evil.refork -- "./$evil"
ends 120 explain --stored evil.refork
LC_ALL=C grep -q $'\e' stdout && fail "an escape sequence: $(cat -v stdout)"
grep -q '31mst' stdout || fail "not the name: $(cat -v stdout)"
exit 0
