// Which fds of a process lead to the recording's original stdin, stdout and stderr: a model driven by
// syscalls alone, the same in the recorder and in replay. Not thread-safe.
#ifndef REFORK_CORE_CALLS_FDTABLE_H
#define REFORK_CORE_CALLS_FDTABLE_H

#include "core/tracee.h"

enum fdtable_stream_kind {
    FDTABLE_NONE = 0,
    FDTABLE_STDOUT = 1,
    FDTABLE_STDERR = 2,
    FDTABLE_STDIN = 3,
    FDTABLE_TERMINAL = 4, // opened as /dev/tty: the controlling terminal, whatever fds 0..2 are
};

struct fdtable;

// A table with fds 0, 1, 2 as the three streams, one reference. Out of memory aborts (rf_assert).
struct fdtable *fdtable_new(void);
// An independent copy with one reference: fork without CLONE_FILES.
struct fdtable *fdtable_clone(const struct fdtable *t);
// One more reference: CLONE_FILES. Returns t.
struct fdtable *fdtable_ref(struct fdtable *t);
// Drops one reference; the last one frees. NULL is allowed.
void fdtable_unref(struct fdtable *t);

// A successful exec by an owner of t: the close-on-exec fds are gone; a table shared with other processes is
// unshared first, as the kernel does. Returns the table to use from now on: t, or a copy (the reference to t
// is dropped then).
struct fdtable *fdtable_exec(struct fdtable *t);

// A call that returned `result`; `read` reads the caller's memory after the call (pipe's fds, open's path).
// Calls that have nothing to do with fds are ignored, so every call may be passed. Returns the table to use
// from now on: t, or a copy when the call unshared it (close_range with CLOSE_RANGE_UNSHARE,
// unshare(CLONE_FILES) of a shared table).
struct fdtable *fdtable_syscall(struct fdtable *t, long nr, const uint64_t args[6], int64_t result,
                                tracee_reader read, void *context);

// The fd has come from elsewhere (another process) and leads to `stream`, an enum fdtable_stream_kind.
void fdtable_received(struct fdtable *t, int fd, int stream);

// enum fdtable_stream_kind of an fd (any number).
int fdtable_stream(const struct fdtable *t, int fd);

#endif
