# Makes docs/samples.md, the index of the samples, from the comments at their heads:
#   awk -f docs/samples.awk docs/json.md samples/*.c samples/*.cc
# docs/json.md says what each kind of finding means; a sample stands under the kind of its first `// expect:` line.
function flush_sample(   sentence) {
    if (name == "") return
    sentence = text
    sub(/^ +/, "", sentence)
    gsub(/\|/, "\\|", sentence)
    if (kind == "") kind = "none"
    rows[kind] = rows[kind] "| [" name "](../samples/" file ") | " sentence " |\n"
    name = text = kind = ""
}
FNR == 1 {
    flush_sample()
    source = FILENAME
    sub(/.*\//, "", source)
    if (source != "json.md") { file = name = source; sub(/\.[a-z]*$/, "", name); head = 1 }
}
source == "json.md" {
    # The table of kinds: | `orphaned-lock` | meaning |
    if (/^\| `kind` \| what it says/) in_kinds = 1
    else if (!/^\|/) in_kinds = 0
    else if (in_kinds && /^\| `/) {
        k = $2
        gsub(/`/, "", k)
        line = $0
        sub(/^\| [^|]* \| /, "", line)
        sub(/ *\|$/, "", line)
        meaning[k] = toupper(substr(line, 1, 1)) substr(line, 2) "."
        order[++kinds] = k
    }
    next
}
/^\/\/ expect:/ { if (kind == "") { kind = $3 }; head = 0 }
/^\/\/ *$/ || !/^\/\// || /^\/\/ [a-z]+:/ { head = 0 }
head { line = $0; sub(/^\/\/ ?/, "", line); text = text " " line }
END {
    flush_sample()
    print "# Samples\n"
    print "Small programs, one for each way to hang at a fork, and look-alikes that are healthy. Each is built by `make programs` into"
    print "`build/samples/`; `refork record -- build/samples/NAME` shows it. `make demo` shows the first. Their verdicts are tested."
    print "This page is made from the heads of the programs by `make samples-index`."
    for (i = 1; i <= kinds; i++)
        if (order[i] in rows) {
            printf "\n## `%s`\n\n%s\n\n| sample | what happens |\n|---|---|\n%s", order[i], meaning[order[i]], rows[order[i]]
            delete rows[order[i]]
        }
    if ("none" in rows) printf "\n## Healthy\n\nNothing must be found here.\n\n| sample | what happens |\n|---|---|\n%s", rows["none"]
    delete rows["none"]
    for (k in rows) { print "docs/json.md has no kind " k > "/dev/stderr"; exit 1 }
}
