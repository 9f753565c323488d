#!/bin/bash
# The verdict's other forms: JSON against its schema, SARIF against what SARIF 2.1.0 demands, findings of several recordings counted by
# lock, 80 columns.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work

record() { # NAME PROGRAM...: its recording NAME.refork
    local name=$1
    shift
    clean "$refork" record --no-explain -o "$name.refork" -- "$@" >/dev/null 2>&1 </dev/null
    [ -s "$name.refork" ] || fail "no recording of $*"
}

record dead "$build/samples/mutex_deadlock"
record again "$build/samples/mutex_deadlock"
record heap "$build/samples/heap_mutex"
record order "$build/samples/atfork_order"
record good sh -c 'echo hello'
head -c 5000 dead.refork >cut.refork
echo 'no recording' >bad.refork

# ---- JSON: what the schema says, and nothing else (tests/sample.sh asks it of every kind of finding)
valid() { clean /usr/bin/python3 "$root/tests/verdict_schema.py" "$root/docs/verdict.schema.json" "$@"; } # FILE...
for name in dead heap order good; do
    clean "$refork" explain $name.refork >$name.txt 2>/dev/null
    clean "$refork" explain --json $name.refork >$name.json 2>/dev/null
done
ends 122 explain --json dead.refork order.refork bad.refork good.refork again.refork
mv stdout many.json
valid ./*.json || fail "not what docs/verdict.schema.json says"
# The schema refuses what is wrong: a kind that is none, a field too many, one too few
for change in '.findings[0].kind = "strange"' '.extra = 1' 'del(.findings[0].advice)' '.events = "7"' '.findings[0].lock.address = "0"'; do
    jq "$change" dead.json >changed.json
    valid changed.json >/dev/null && fail "the schema takes $change"
    rm changed.json
done
# docs/json.md names every field of the schema
for field in $(jq -r '.. | .properties? // empty | keys[]' "$root/docs/verdict.schema.json" | sort -u); do
    grep -q "\`$field\`" "$root/docs/json.md" || fail "docs/json.md does not tell of '$field'"
done

# ---- several recordings
jq -e '(.traces | length) == 5 and .traces[2].error.status == 122 and .traces[3].verdict.deadlock == false
    and (.groups | map([.kind, .lock, .count, .traces])) == [["orphaned-lock", "log_mutex", 2, [0, 4]], ["atfork-deadlock", "log_mutex", 1, [1]]]
    and .groups[0].first == .traces[0].verdict.findings[0]' many.json >/dev/null || fail "several recordings as JSON: $(jq 'del(..|.frames?)' many.json)"
jq -e --slurpfile one dead.json '.traces[0].verdict == $one[0]' many.json >/dev/null || fail "a verdict among several is another one"
ends 122 explain dead.refork order.refork bad.refork good.refork again.refork
grep -q '^5 recordings: 3 with a deadlock, 1 without, 1 without a verdict$' stdout || fail "$(cat stdout)"
grep -q "bad.refork' (byte 0 is not the beginning" stderr || fail "stderr: $(cat stderr)"
grep -q '^1. orphaned-lock on log_mutex: 2 times, in 2 of 5 recordings$' stdout || fail "$(cat stdout)"
[ "$(grep -c '^Finding' stdout)" = 2 ] || fail "not the first of each group only: $(cat stdout)"
cp stdout many.txt
ends 120 explain dead.refork good.refork
ends 0 explain good.refork good.refork
grep -q '^2 recordings: 0 with a deadlock, 2 without$' stdout || fail "$(cat stdout)"
ends 122 explain bad.refork nothing.refork

# ---- SARIF
ends 125 explain --json --sarif dead.refork
sarif() { # FILE: the structure that SARIF 2.1.0 demands of what refork uses of it
    # shellcheck disable=SC2016 # jq's variables
    jq -e '
        def text: (.text | type == "string" and length > 0);
        def uri: type == "string" and (test("[^A-Za-z0-9._~:/?#\\[\\]@!$&()*+,;=%'"'"'-]") | not);
        def place: .physicalLocation.artifactLocation as $a | ($a.uri | uri) and ($a | has("uriBaseId") | not or ($a.uri | test("^(/|file:)") | not))
            and (.physicalLocation.region? // {startLine: 1} | .startLine >= 1)
            and (.logicalLocations? // [] | all(.name | length > 0)) and (.message? // {text: "x"} | text);
        def stack: (.message | text) and (.frames | all(.location | place));
        .version == "2.1.0" and (."$schema" | endswith("sarif-2.1.0.json")) and (keys - ["$schema", "version", "runs"] == [])
        and (.runs | length > 0) and (.runs | all(
            .tool.driver.name == "refork" and (.tool.driver.semanticVersion | test("^[0-9]+[.][0-9]+[.][0-9]+$"))
            and (.tool.driver.rules | (map(.id) | unique | length) == length and all((.shortDescription | text) and (.help | text)
                and (.defaultConfiguration.level | IN("none", "note", "warning", "error"))))
            and (.originalUriBaseIds.CURRENT.uri | startswith("file:///") and endswith("/"))
            and (.invocations | all(.executionSuccessful | type == "boolean"))
            and (.tool.driver.rules as $rules | .results | all(
                $rules[.ruleIndex].id == .ruleId and .kind == "fail" and (.level | IN("note", "warning", "error")) and (.message | text)
                and (.locations | length == 1 and all(place)) and (.relatedLocations | all(place) and (map(.id) | unique | length) == length)
                and (.partialFingerprints."reforkSites/v1" | test("^[0-9a-f]{32}$")) and (.stacks | all(stack))
                and (.codeFlows | all(.threadFlows | length > 0 and (map(.id) | unique | length) == length and all(
                    (.message | text) and (.locations | length > 0 and all((.location | place) and (.stack | stack) and (.kinds | length == 1)
                        and .executionOrder >= 1)) and (.locations | map(.executionOrder) | . == sort))))))))' "$1" >/dev/null || fail "$1 is no SARIF: $(cat "$1")"
}
ends 120 explain --sarif dead.refork
mv stdout dead.sarif
sarif dead.sarif
ends 122 explain --sarif again.refork bad.refork order.refork good.refork
mv stdout many.sarif
sarif many.sarif
jq -e '(.runs | length) == 3 and (.runs | map(.results | length)) == [2, 1, 0]' many.sarif >/dev/null || fail "many.sarif: $(cat many.sarif)"
# Two runs of one program: the same fingerprints; another program: others
prints() { jq -c '[.runs[].results[].partialFingerprints]' "$1"; }
[ "$(prints dead.sarif)" = "$(jq -c '[.runs[0].results[].partialFingerprints]' many.sarif)" ] || fail "fingerprints of two runs differ: $(prints dead.sarif) $(prints many.sarif)"
[ "$(jq '[.runs[].results[].partialFingerprints] | unique | length' many.sarif)" = 3 ] || fail "fingerprints are not unique: $(prints many.sarif)"
# Sources below the current folder are relative to it
(cd "$root" && clean "$refork" explain --sarif "$work/dead.refork" >"$work/relative.sarif")
sarif relative.sarif
jq -e '.runs[0].results[0].locations[0].physicalLocation | .artifactLocation == {uri: "samples/mutex_deadlock.c", uriBaseId: "CURRENT"} and .region.startLine > 1' relative.sarif >/dev/null ||
    fail "$(jq '.runs[0].results[0].locations' relative.sarif)"
jq -e --arg uri "file://$root/samples/mutex_deadlock.c" '.runs[0].results[0].locations[0].physicalLocation.artifactLocation | .uri == $uri and (has("uriBaseId") | not)' dead.sarif >/dev/null ||
    fail "$(jq '.runs[0].results[0].locations' dead.sarif)"
jq -e '.runs[0].results[0] | .level == "error" and ([.codeFlows[0].threadFlows[].locations[].kinds[0]] == ["acquire", "fork", "wait"])' dead.sarif >/dev/null || fail "flows: $(cat dead.sarif)"
# A lock on the heap: where it was allocated and initialised, and no address, which another run would not have
ends 120 explain --sarif heap.refork
mv stdout heap.sarif
sarif heap.sarif
jq -e '.runs[0].results[0] | ([.relatedLocations[] | .logicalLocations[0].name] == ["queue_new", "queue_new", "write_report", "main", "run_child"])
    and (.relatedLocations[0].message.text | test("^allocates .* byte 24 of 64 bytes from calloc$")) and (.relatedLocations[1].message.text | startswith("initialises"))
    and (.message.text | test("waits for queue::lock, held by .* The lock is at byte 24 of 64 bytes from calloc"))
    and ([.message, .relatedLocations, .codeFlows] | tostring | test("0x[0-9a-f]{6}") | not)' heap.sarif >/dev/null || fail "heap: $(jq '.runs[0].results[0]' heap.sarif)"
# The page's story, too
ends 0 export --to html -o heap.html heap.refork
grep -q '○</b><span>[0-9]* allocates the lock with calloc <span class="place">queue_new, heap_mutex.c:20</span>' heap.html || fail "heap.html: no allocation: $(grep '<li class="lock">' heap.html)"

# ---- 80 columns
wide=$(awk 'length($0) > 80 {print FILENAME ": " $0}' ./*.txt)
[ -z "$wide" ] || fail "lines of more than 80 columns: $wide"
rm -rf "$work"
