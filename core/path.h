// Names of files.
#ifndef REFORK_CORE_PATH_H
#define REFORK_CORE_PATH_H

#include <string.h>

// What is behind the last slash: "/usr/bin/sort" is "sort". A path that ends with a slash stays as it is. Points
// into `path`.
static inline const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

#endif
