#include "recorder/received_fds.h"

#include "recorder/seen_writes.h"

#include <linux/kcmp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// refork's own stdout and stderr are the program's.
static void look(struct recorder *r, struct task *t, struct batch *b, int fd) {
    static const int streams[] = {FDTABLE_STDOUT, FDTABLE_STDERR};
    int stream = FDTABLE_NONE;
    seen_writes_received(r, t, fd);
    for (int i = 0; i < 2 && !stream; i++)
        if (syscall(SYS_kcmp, getpid(), t->tid, KCMP_FILE, i + 1, fd) == 0) stream = streams[i];
    fdtable_received(t->fds, fd, stream);
    if (!stream) return;
    batch_piece(b, PIECE_STREAM, 0);
    batch_last(b)->stream = (struct piece_stream){(uint64_t)fd, (uint64_t)stream};
}

// The SCM_RIGHTS among the control messages of a struct msghdr.
static void of_message(struct recorder *r, struct task *t, struct batch *b, uint64_t address) {
    struct msghdr m;
    char control[4096];
    if (!tracee_read(t->tid, t->mm->mem_fd, address, &m, sizeof m) || !m.msg_control) return;
    size_t len = m.msg_controllen < sizeof control ? m.msg_controllen : sizeof control;
    if (len < sizeof(struct cmsghdr) ||
        !tracee_read(t->tid, t->mm->mem_fd, (uint64_t)m.msg_control, control, len))
        return;
    struct cmsghdr h;
    for (size_t at = 0; at + sizeof h <= len; at += CMSG_ALIGN(h.cmsg_len)) {
        memcpy(&h, control + at, sizeof h);
        if (h.cmsg_len < sizeof h || h.cmsg_len > len - at) return;
        if (h.cmsg_level != SOL_SOCKET || h.cmsg_type != SCM_RIGHTS) continue;
        for (size_t i = sizeof h; i + sizeof(int) <= h.cmsg_len; i += sizeof(int)) {
            int fd;
            memcpy(&fd, control + at + i, sizeof fd);
            look(r, t, b, fd);
        }
    }
}

void received_fds(struct recorder *r, struct task *t, struct batch *b, int64_t ret) {
    if (ret < 0) return;
    const uint64_t *a = t->call.args;
    if (t->call.nr == SYS_pidfd_getfd) look(r, t, b, (int)ret);
    if (t->call.nr == SYS_recvmsg) of_message(r, t, b, a[1]);
    enum { MMSGHDR = 64 };
    for (int64_t i = 0; t->call.nr == SYS_recvmmsg && i < ret; i++)
        of_message(r, t, b, a[1] + (uint64_t)i * MMSGHDR);
}
