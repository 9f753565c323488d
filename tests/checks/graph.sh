#!/bin/bash
# The house: no two files call each other in a circle, includes and calls go with the order of the folders, a header belongs
# to one source, no file has more than 800 lines and no folder more than 30 sources. By the objects' symbols: tests/graph.py.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1
/usr/bin/python3 tests/graph.py "$build" || fail "the house is out of order: see above ('make graph' draws it)"
