// Who holds which end of a pipe: a reader that waits for bytes or for the end of file waits for the processes that
// hold a write end, a writer for those that hold a read end. The kernel's own list in /proc is asked, for it also
// shows what came from outside.
#include "recorder/pipes.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

// The inode of the pipe that fd `name` of `pid` leads to; 0: no pipe. (A named one shows as its path.)
static uint64_t pipe_inode(int pid, const char *name) {
    char path[64], target[64];
    unsigned long inode;
    snprintf(path, sizeof path, "/proc/%d/fd/%.20s", pid, name);
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n <= 0) return 0;
    target[n] = 0;
    return sscanf(target, "pipe:[%lu]", &inode) == 1 ? inode : 0;
}

static bool add(struct task *t, struct pipe_wait *w, int fd, bool write) {
    char name[16];
    snprintf(name, sizeof name, "%d", fd);
    uint64_t inode = pipe_inode(t->tid, name);
    if (!inode || w->count == PIPE_WAITS || (w->count && w->write != write)) return false;
    w->write = write;
    w->fds[w->count] = fd;
    w->inodes[w->count++] = inode;
    return true;
}

static bool polled(struct task *t, struct pipe_wait *w) {
    bool endless = t->nr == SYS_poll ? (int)t->args[2] < 0 : !t->args[2];
    struct pollfd fds[PIPE_WAITS];
    uint64_t n = t->args[1];
    if (!endless || !n || n > PIPE_WAITS ||
        !tracee_read(t->tid, t->mm->mem_fd, t->args[0], fds, n * sizeof *fds))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        if (fds[i].fd < 0) continue;
        bool out = fds[i].events & POLLOUT;
        if ((out && fds[i].events & POLLIN) || !add(t, w, fds[i].fd, out)) return false;
    }
    return w->count > 0;
}

static bool selected(struct task *t, struct pipe_wait *w) {
    int n = (int)t->args[0];
    fd_set readable;
    FD_ZERO(&readable);
    // args[4]: the timeout. For writing or exceptions nobody waits on a pipe alone.
    if (t->args[4] || t->args[2] || t->args[3] || !t->args[1] || n <= 0 || n > FD_SETSIZE ||
        !tracee_read(t->tid, t->mm->mem_fd, t->args[1], &readable, ((size_t)n + 63) / 64 * 8))
        return false;
    for (int fd = 0; fd < n; fd++)
        if (FD_ISSET(fd, &readable) && !add(t, w, fd, false)) return false;
    return w->count > 0;
}

bool pipe_wait_of(struct task *t, struct pipe_wait *w) {
    memset(w, 0, sizeof *w);
    switch (t->nr) {
    case SYS_read:
    case SYS_readv:
        return add(t, w, (int)t->args[0], false);
    case SYS_write:
    case SYS_writev:
        return add(t, w, (int)t->args[0], true);
    case SYS_poll:
    case SYS_ppoll:
        return polled(t, w);
    case SYS_select:
    case SYS_pselect6:
        return selected(t, w);
    default:
        return false;
    }
}

static int access_mode(int pid, const char *fd) {
    char path[64], line[128];
    unsigned flags = O_RDWR;
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%.20s", pid, fd);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "flags: %o", &flags) == 1) break;
    if (f) fclose(f);
    return (int)flags & O_ACCMODE;
}

static void ends_of(int tid, struct process *p, const struct pipe_wait *waits, size_t count,
                    struct pipe_ends *out) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", tid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!isdigit((unsigned char)*e->d_name)) continue;
        uint64_t inode = pipe_inode(tid, e->d_name);
        for (size_t i = 0; inode && i < count; i++)
            for (int k = 0; k < waits[i].count; k++) {
                if (waits[i].inodes[k] != inode) continue;
                if (access_mode(tid, e->d_name) == (waits[i].write ? O_WRONLY : O_RDONLY)) continue;
                if (out->count % 16 == 0) out->all = realloc(out->all, (out->count + 16) * sizeof *out->all);
                rf_assert(out->all);
                out->all[out->count++] = (struct pipe_end){inode, waits[i].write, p, atoi(e->d_name)};
            }
    }
    if (d) closedir(d);
}

// Processes that cannot be looked into are another user's: a pipe that was made in the recording gets there over a
// socket alone, and then the recorder has given up on pipes.
void pipe_ends_find(struct recorder *r, const struct pipe_wait *waits, size_t count, struct pipe_ends *out) {
    memset(out, 0, sizeof *out);
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!isdigit((unsigned char)*e->d_name)) continue;
        int pid = atoi(e->d_name);
        struct process *p = r->processes;
        while (p && p->pid != pid)
            p = p->next;
        int tid = pid;
        for (struct task *t = r->tasks; p && t; t = t->next)
            if (t->process == p) tid = t->tid; // a leader that is gone shows no fds, its threads do
        ends_of(tid, p, waits, count, out);
    }
    if (d) closedir(d);
}

void pipe_ends_free(struct pipe_ends *ends) {
    free(ends->all);
}
