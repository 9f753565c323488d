#!/bin/bash
# refork export: pages are XML without a mistake that load nothing, whatever the recording's names are; where the document goes.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work

# page FILE: a page that every parser takes, that loads nothing and has no script but the one that its policy names
page() {
    clean /usr/bin/python3 - "$1" <<'END' || fail "$1 is not a good page"
import base64, hashlib, html.parser, re, sys
import xml.etree.ElementTree as ElementTree
path = sys.argv[1]
text = open(path, encoding="utf-8", errors="strict").read()
root = ElementTree.fromstring(text)
scripts, styles = [], []
for element in root.iter():
    name = element.tag.rpartition("}")[2]
    assert name not in ("img", "iframe", "link", "object", "embed", "base", "form"), name
    if name == "script": scripts.append(element.text)
    if name == "style": styles.append(element.text)
    for key, value in element.attrib.items():
        assert not key.startswith("on") and key not in ("src", "style"), (key, value)
        assert key != "href" or value.startswith("#"), value
assert len(scripts) == 1 and len(styles) == 1
digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
assert "script-src 'sha256-" + digest + "'" in text, "the policy names another script: 'sha256-" + digest + "'"
assert "@import" not in styles[0] and not re.search(r"url\((?!#)", styles[0])

class Balance(html.parser.HTMLParser):
    # what a parser of HTML sees: the same elements
    def __init__(self): super().__init__(); self.open, self.count = [], 0
    def handle_starttag(self, tag, attrs):
        self.count += 1
        if tag != "meta": self.open.append(tag)
    def handle_startendtag(self, tag, attrs): self.count += 1
    def handle_endtag(self, tag): assert self.open.pop() == tag, tag
balance = Balance()
balance.feed(text)
balance.close()
assert not balance.open and balance.count == len(list(root.iter())), (balance.count, len(list(root.iter())))
END
}

says 120 'waits for ever' record --no-explain -o server.refork -- "$build/samples/mutex_deadlock"
says 0 '' export --to html server.refork
page server.html
for words in orphaned-lock log_mutex write_report 'still locked here' 'waits for ever' 'refork replay server.refork'; do
    grep -qF "$words" server.html || fail "the page has no '$words'"
done
[ "$(stat -c %s server.html)" -lt 200000 ] || fail "the page has $(stat -c %s server.html) bytes"
says 0 '' export --to html
says 0 '' export --to html -o - server.refork
cmp stdout server.html || fail "-o - writes another page"
says 0 '' export --to json -o document server.refork
clean "$refork" explain --json server.refork >verdict
jq -e --slurpfile verdict verdict '.verdict == $verdict[0] and (.tasks | length) == 3 and (.spans | length) >= 2
    and (.events | map(select(.evidence)) | length) == 4 and .recording.events == .verdict.events' document >/dev/null || fail "the document: $(cat document)"
[ "$(find . -name '*.part-*')" = "" ] || fail "something is left: $(ls)"

# Names that would be markup: of the program, its folder, its arguments, its threads
evil=$'<script>alert(1)<\\script>"\'&\x1b[31m\xff'
mkdir "$evil"
cp "$build/samples/mutex_deadlock" "$evil/$evil"
says 120 'waits for ever' record --no-explain -o "$evil.refork" -- "./$evil/$evil" '</script><img src=x onerror=alert(1)>' '-->' ']]>'
says 0 '' export --to html -o evil.html "$evil.refork"
page evil.html
grep -q 'lt;img src=x onerror' evil.html || fail "the argument is not in the page"
says 0 '' export --to json -o evil.json "$evil.refork"
jq -e . evil.json >/dev/null || fail "evil.json is not JSON"

# A program without a verdict, one with many tasks
says 0 '' record -o many.refork -- sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do /bin/true; done'
says 0 '' export --to html many.refork
page many.html
grep -q 'no deadlock' many.html || fail "many.html does not say that all is well"
grep -q '24 of 31 tasks are shown' many.html || fail "many.html does not say how many tasks are shown"

grep -q '<details class="folded" id="ended"><summary>30 others that have ended</summary>' many.html || fail "many.html does not fold its children"

# What to do stands above the picture, and not once more in the first finding. A server's children that have ended are folded; those of the verdict are not.
grep -oE '<h2>(What happened|What to do|The picture|The findings?)<' server.html >order
printf '<h2>%s<\n' 'What happened' 'What to do' 'The picture' 'The findings' | cmp - order || fail "the order of the page: $(cat order)"
sed -n '/id="finding-1"/,/<\/article>/p' server.html | grep -q 'What to do' && fail "the first finding says once more what to do"
! grep -q 'id="ended"' server.html || fail "a task of the verdict is folded"
says 120 'waits for ever' record --no-explain -o prefork.refork -- "$build/tests/programs/prefork" 40
says 0 '' export --to html prefork.refork
page prefork.html
clean /usr/bin/python3 - <<'END' || fail "the children of prefork.html are not folded"
import xml.etree.ElementTree as ElementTree
root = ElementTree.parse("prefork.html").getroot()
name = lambda element: element.tag.rpartition("}")[2]
[folded] = [element for element in root.iter() if element.get("id") == "ended"]
assert name(folded) == "details" and folded.get("open") is None
assert folded[0].text == "40 others that have ended and have no part in the verdict", folded[0].text
rows = lambda where: [" ".join(row.itertext()) for row in where.iter() if name(row) == "tr"][1:]
assert len(rows(folded)) == 40 and not any("waits for ever" in row for row in rows(folded))
main = root.iter()
for element in main:
    if name(element) == "h2" and element.text == "Processes and threads": break
tree = rows(next(element for element in main if name(element) == "table"))
assert len(tree) == 3 and sum("waits for ever" in row for row in tree) >= 1, tree
END

says 125 "no format given: add --to html" export server.refork
says 125 "'svg': this refork knows html, json, core" export --to svg server.refork
says 125 "no/such/folder" export --to html -o no/such/folder/x server.refork
says 125 "cannot write" export --to html -o /dev/full/x server.refork
says 122 "no-such-file" export --to html no-such-file
head -c 3000 server.refork >cut.refork
says 122 "cut off before its first event" export --to html cut.refork
[ ! -e cut.html ] || fail "a page of a trace that cannot be read"
clean "$refork" export --to html -o - server.refork >/dev/full 2>stderr
[ $? = 125 ] || fail "export to a full disk: no error"
rm -rf "$work"
