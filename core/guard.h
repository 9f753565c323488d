// What a scope has taken it gives back on every way out of it (a cleanup attribute, as gcc and clang have it). Guards
// go in the reverse order of their declarations, so what is declared first may be used by those behind it.
//
//     scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);   // closed, unless it is negative
//     scoped_file FILE *f = fopen(path, "re");               // closed, unless it is NULL
//     scoped_free char *text = malloc(size);                 // freed
//     return keep_memory(&text);                             // the scope's no more: the caller's
//
// A guarded variable is set before anything can leave its scope. A file that was written is not for scoped_file: whether fclose()
// could write the rest must be asked. Guards leave errno as it was.
#ifndef REFORK_CORE_GUARD_H
#define REFORK_CORE_GUARD_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define scoped_free __attribute__((cleanup(guard_free)))
#define scoped_fd   __attribute__((cleanup(guard_fd)))
#define scoped_file __attribute__((cleanup(guard_file)))
#define scoped_dir  __attribute__((cleanup(guard_dir)))

// Of a variable of any pointer type.
static inline void guard_free(void *variable) {
    int before = errno;
    free(*(void **)variable);
    errno = before;
}

static inline void guard_fd(const int *fd) {
    int before = errno;
    if (*fd >= 0) close(*fd);
    errno = before;
}

static inline void guard_file(FILE *const *file) {
    int before = errno;
    if (*file) fclose(*file);
    errno = before;
}

static inline void guard_dir(DIR *const *folder) {
    int before = errno;
    if (*folder) closedir(*folder);
    errno = before;
}

// What a guarded variable holds, which its scope then gives back no more.
static inline int keep_fd(int *fd) {
    int kept = *fd;
    *fd = -1;
    return kept;
}

#define keep_memory(variable)                                                                                \
    ({                                                                                                       \
        __typeof__(*(variable)) memory_kept = *(variable);                                                   \
        *(variable) = NULL;                                                                                  \
        memory_kept;                                                                                         \
    })

#endif
