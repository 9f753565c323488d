#!/bin/bash
# The documentation names what is there: files and headings that it links to, and the paths of sources in its text; the index of the samples
# is that of the samples.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1
clean /usr/bin/python3 - README.md CONTRIBUTING.md docs/*.md docs/ci/*.md <<'PYTHON' || fail "see above"
import os, re, sys

def anchors(path):
    """The headings of a page as GitHub makes links of them."""
    with open(path) as page:
        for heading in re.findall(r"^#+ +(.*)$", page.read(), re.M):
            yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")

bad, seen = [], 0
for path in sys.argv[1:]:
    with open(path) as page:
        text = page.read()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        file = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
        seen += 1
        if not os.path.exists(file):
            bad.append(f"{path}: no file '{target}'")
        elif anchor and anchor not in anchors(file):
            bad.append(f"{path}: no heading '{target}'")
    for name in re.findall(r"`((?:core|recorder|replayer|search|tui|cli|samples|tests|docs)/[\w/.-]*\.(?:c|cc|h|def|sh|py|md|jq|svg))`", text):
        seen += 1
        if not os.path.exists(name):
            bad.append(f"{path}: no file '{name}'")
print("\n".join(bad))
assert seen > 100, seen
sys.exit(bool(bad))
PYTHON
echo good
LC_ALL=C awk -f docs/samples.awk docs/json.md samples/*.c samples/*.cc | diff docs/samples.md - ||
    fail "docs/samples.md is not of these samples: run 'make samples-index'"
"${as_clean[@]}" docs/screen.py tests/tui/golden/waits-120x30.txt | cmp - docs/screen.svg || fail "docs/screen.svg is not that of the golden screen: make screen"
