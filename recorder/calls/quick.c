#include "recorder/calls/quick.h"

#include "core/calls/call_page.h"
#include "core/tracee.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool known(const struct mm_calls *c, uint64_t fd) {
    return fd < CALL_QUICK && c->quick[fd / 64] >> fd % 64 & 1;
}

static void note(struct task *t, uint64_t fd, bool quick) {
    struct mm_calls *c = &t->mm->calls;
    if (fd >= CALL_QUICK || known(c, fd) == quick) return;
    uint64_t *word = &c->quick[fd / 64];
    *word ^= 1ull << fd % 64;
    tracee_write(t->mm->mem_fd, CALL_CONTROL + offsetof(struct call_control, quick) + fd / 64 * 8, word,
                 sizeof *word);
}

static void forget_all(struct task *t) {
    struct mm_calls *c = &t->mm->calls;
    memset(c->quick, 0, sizeof c->quick);
    tracee_write(t->mm->mem_fd, CALL_CONTROL + offsetof(struct call_control, quick), c->quick,
                 sizeof c->quick);
}

// Asked of the socket itself. False where the kernel (before 5.6) or a container does not allow it.
static bool is_quick(const struct task *t, int fd) {
    int process = (int)syscall(SYS_pidfd_open, t->process->pid, 0), type = 0;
    if (process < 0) return false;
    int own = (int)syscall(SYS_pidfd_getfd, process, fd, 0);
    close(process);
    if (own < 0) return false;
    socklen_t size = sizeof type;
    bool quick = getsockopt(own, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
                 fcntl(own, F_GETFL) & O_NONBLOCK;
    close(own);
    return quick;
}

// Only calls that are made at a stop make descriptors, or change their flags; close() has its own.
void quick_sockets(struct task *t, int64_t ret) {
    const uint64_t *a = t->call.args;
    if (!t->mm->calls.on) return;
    switch (t->call.nr) {
    case SYS_close:
        note(t, a[0], false);
        return;
    case SYS_close_range:
        forget_all(t);
        return;
    case SYS_dup2:
    case SYS_dup3:
        note(t, (uint64_t)ret, false);
        return;
    case SYS_accept4:
        if (a[3] & SOCK_NONBLOCK) note(t, (uint64_t)ret, is_quick(t, (int)ret));
        return;
    case SYS_socket:
        if (a[1] & SOCK_NONBLOCK) note(t, (uint64_t)ret, is_quick(t, (int)ret));
        return;
    case SYS_fcntl:
        if ((int)a[1] == F_SETFL) note(t, a[0], is_quick(t, (int)a[0]));
        return;
    case SYS_ioctl:
        if ((uint32_t)a[1] == FIONBIO) note(t, a[0], is_quick(t, (int)a[0]));
        return;
    default:
        return;
    }
}
