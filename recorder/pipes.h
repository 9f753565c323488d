// Waits on pipes, and who could end them.
#ifndef REFORK_RECORDER_PIPES_H
#define REFORK_RECORDER_PIPES_H

#include "recorder/engine.h"

enum { PIPE_WAITS = 16 };

// What a task that sleeps in read, write, poll or select waits for, when it is pipes alone and without a timeout.
struct pipe_wait {
    bool write; // to become writable, else for bytes or the end of file
    int count, fds[PIPE_WAITS];
    uint64_t inodes[PIPE_WAITS];
};
// false: something else.
bool pipe_wait_of(struct task *t, struct pipe_wait *w);

// The other ends of those pipes, wherever they are open.
struct pipe_end {
    uint64_t inode;
    bool write;              // of a pipe that somebody waits to write to: this is a read end
    struct process *process; // NULL: outside of the recording
    int fd;
};
struct pipe_ends {
    struct pipe_end *all;
    size_t count;
};
void pipe_ends_find(struct recorder *r, const struct pipe_wait *waits, size_t count, struct pipe_ends *out);
void pipe_ends_free(struct pipe_ends *ends);

#endif
