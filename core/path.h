// Names of files.
#ifndef REFORK_CORE_PATH_H
#define REFORK_CORE_PATH_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

// What is behind the last slash: "/usr/bin/sort" is "sort". A path that ends with a slash stays as it is. Points
// into `path`.
static inline const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

// How long a recording's name is without its ".refork".
static inline size_t stem_length(const char *name) {
    static const char end[] = ".refork";
    size_t len = strlen(name);
    return len >= sizeof end && !strcmp(name + len - (sizeof end - 1), end) ? len - (sizeof end - 1) : len;
}

// Do both names lead to one file? False also when one of them leads to none.
static inline bool same_path(const char *a, const char *b) {
    char *x = realpath(a, NULL), *y = realpath(b, NULL);
    bool same = x && y && !strcmp(x, y);
    free(x);
    free(y);
    return same;
}

#endif
