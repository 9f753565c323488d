#!/bin/bash
# Makes the data that the proof programs work on, the same every time: tests/proof/data.sh BUILD
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
data=$build/test-data
[ -e "$data/complete" ] && exit 0
rm -rf "$data"
mkdir -p "$data/project"

# 9 MB of lines that compress and sort like text: xz makes blocks of 3 MiB, sort starts threads for 131,072 lines and more
# shellcheck disable=SC2016 # perl's variables
clean perl -e '
    srand(42);
    my @words = map { join "", map { chr(97 + int rand 26) } 1 .. 2 + int rand 9 } 1 .. 3000;
    my $size = 0;
    while ($size < 9_000_000) {
        my $line = join(" ", map { $words[int(rand() ** 3 * 3000)] } 1 .. 4 + int rand 10) . "\n";
        print $line;
        $size += length $line;
    }' >"$data/lines.txt" || exit 1
head -c 200000 "$data/lines.txt" | tr ' ' '\n' >"$data/words"

{
    echo 'BEGIN; CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, amount REAL); CREATE INDEX by_name ON item(name);'
    head -n 5000 "$data/words" | awk '{printf "INSERT INTO item VALUES(%d, \"%s\", %d.5);\n", NR, $0, NR * 7 % 1000}'
    echo 'COMMIT; SELECT count(*), sum(amount), min(name), max(name) FROM item;'
    echo 'SELECT name, count(*) AS n FROM item GROUP BY name ORDER BY n DESC, name LIMIT 20;'
    echo 'UPDATE item SET amount = amount * 2 WHERE id % 3 = 0; DELETE FROM item WHERE id % 5 = 0; SELECT sum(amount) FROM item;'
} >"$data/fill.sql"

# A small C project: eight modules, a library and a program that runs at the end of the build
for i in 0 1 2 3 4 5 6 7; do
    printf '#include "project.h"\nint module_%d(int x)\n{\n    int y = x;\n    for (int i = 0; i < %d; i++) y = y * 31 + i;\n    return y;\n}\n' \
        $i $((i * 10 + 5)) >"$data/project/module_$i.c"
done
{
    echo '#pragma once'
    for i in 0 1 2 3 4 5 6 7; do echo "int module_$i(int);"; done
} >"$data/project/project.h"
{
    echo '#include "project.h"'
    echo '#include <stdio.h>'
    # shellcheck disable=SC2028 # for the C compiler
    echo 'int main(void) { printf("%d\n", module_0(module_1(module_2(3))) + module_7(module_4(5))); return 0; }'
} >"$data/project/main.c"
{
    echo '#include <stdio.h>'
    echo '#include <stdlib.h>'
    echo '#include <string.h>'
    for i in $(seq 1 60); do
        echo "static int compare_$i(const void *a, const void *b) { return memcmp(a, b, $i) * $i; }"
        echo "void sort_$i(char *p, size_t n) { if (n > $i) qsort(p, n / $i, $i, compare_$i); for (size_t i = 0; i < n; i++) p[i] ^= (char)(i * $i); }"
    done
} >"$data/project/table.c"
cat >"$data/project/Makefile" <<'END'
MODULES := $(patsubst %.c,%.o,$(wildcard module_*.c))
all: program
	./program
program: main.o libmodules.a
	gcc -o $@ $^
libmodules.a: $(MODULES)
	ar rcsD $@ $^
%.o: %.c project.h
	gcc -O1 -c -o $@ $<
END
touch "$data/complete"
