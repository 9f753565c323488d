#include "replayer/lint/lint_names.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAFE(name)            {#name, LINT_SAFE, 0},
#define PLAIN(name)           {#name, LINT_PLAIN, 0},
#define MALLOC(name)          {#name, LINT_MALLOC, 0},
#define STDIO(name)           {#name, LINT_STDIO, 0},
#define TAKES(name, argument) {#name, LINT_TAKES, argument},
#define HANDLER(name)         {#name, LINT_HANDLER, 0},
#define UNSAFE(name)          {#name, LINT_UNSAFE, 0},

static struct lint_name names[] = {
#include "replayer/lint/signal_safe.def"
};

enum { COUNT = sizeof names / sizeof *names };

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct lint_name *)a)->name, ((const struct lint_name *)b)->name);
}

static void sort_names(void) {
    qsort(names, COUNT, sizeof *names, by_name);
}

static const struct lint_name *row_of(const char *name) {
    static pthread_once_t sorted = PTHREAD_ONCE_INIT;
    pthread_once(&sorted, sort_names);
    return bsearch(&(struct lint_name){.name = name}, names, COUNT, sizeof *names, by_name);
}

static bool drop_end(char *name, const char *end) {
    size_t n = strlen(name), len = strlen(end);
    if (n <= len || strcmp(name + n - len, end)) return false;
    name[n - len] = 0;
    return true;
}

const struct lint_name *lint_name_find(const char *symbol) {
    static const char *const prefixes[] = {"__isoc99_", "__isoc23_", "_IO_", "__libc_", "__"};
    const struct lint_name *row = row_of(symbol);
    char name[128];
    if (row || strlen(symbol) >= sizeof name) return row;
    strcpy(name, symbol);
    // "__open64_2", "__printf_chk", "__fread_unlocked_chk": from the outside in
    if (!drop_end(name, "_chk")) drop_end(name, "_2");
    drop_end(name, "64");
    if ((row = row_of(name))) return row;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t n = strlen(prefixes[i]);
        if (!strncmp(name, prefixes[i], n) && (row = row_of(name + n))) return row;
    }
    bool unlocked = drop_end(name, "_unlocked");
    return unlocked ? row_of(name) : NULL;
}

int lint_name_is_internal(const char *symbol) {
    return symbol[0] == '_' && !lint_name_find(symbol);
}
