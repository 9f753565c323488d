// Waits on files (pipes, sockets, eventfds, file locks, System V objects), and who could end them.
#ifndef REFORK_RECORDER_WAITS_FILE_WAITS_H
#define REFORK_RECORDER_WAITS_FILE_WAITS_H

#include "recorder/state.h"
#include "recorder/task.h"

enum { FILE_WAITS = 32 };

// One of the things that a task waits for.
struct awaited_file {
    enum file_kind {
        FILE_PIPE,
        FILE_SOCKET, // AF_UNIX, connected
        FILE_EVENTFD,
        FILE_EPOLL, // the set of fds itself: whoever has it may add one that is ready
        FILE_LOCK,  // of flock and fcntl
        FILE_SYSV,  // System V semaphores and messages
    } kind;
    int fd;
    uint64_t id;    // inode; the eventfd's, semaphore set's or queue's own id
    bool write;     // PIPE: it is the write end
    uint64_t peer;  // SOCKET: the other end's inode
    int waiter;     // EPOLL: the task; LOCK: its process
    uint64_t start; // LOCK: bytes of the file, `end` included
    uint64_t end;
    bool flock, exclusive;
    bool named;            // SYSV: it has a key
    unsigned major, minor; // its device
};

struct file_wait {
    struct awaited_file all[FILE_WAITS];
    int count;
};

// What a task that sleeps in a call waits for, if it is only such files that were made in the recording, and if it waits
// without a timeout. False: something else, or it cannot be told.
bool file_wait_of(struct recorder *r, struct task *t, struct file_wait *w);

// Is the set of epoll that t sleeps on empty?
bool file_wait_of_no_file(const struct task *t);

// An fd, anywhere on the machine, with which such a wait could be ended.
struct file_end {
    const struct awaited_file *file; // of whose wait
    struct process *process;         // NULL: outside of the recording
    int fd;
    bool far; // the other end, without which the call would return
};
struct file_ends {
    struct file_end *all;
    size_t count;
};
void file_ends_find(struct recorder *r, const struct file_wait *waits, size_t count, struct file_ends *out);
void file_ends_free(struct file_ends *ends);

// After a call of t that succeeded: remembers what it made, and gives up when fds may have got elsewhere.
void files_call(struct recorder *r, struct task *t, int64_t ret);
void files_release(struct recorder *r);

#endif
