// Who could end a wait on a file: a reader of a pipe that waits for bytes or for the end of file waits for the processes
// that hold a write end, and so on. The kernel's own lists in /proc are asked, for they also show what outsiders hold.
// Only of what was made in the recording do they show everybody: an fd leaves its family over a socket alone, which is
// seen. Named pipes, sockets that anybody may connect to and the like can be ended by strangers.
#include "recorder/waits/file_waits.h"

#include "core/array.h"
#include "core/calls/syscalls.h"
#include "recorder/waits/state.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

enum { MADE_MAX = 1 << 16 };

// ---- what /proc says of one fd

static FILE *open_info(int pid, int fd) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", pid, fd);
    return fopen(path, "re");
}

// The first line that fits, one number in it; -1: there is none.
static int64_t info_number(int pid, int fd, const char *format) {
    char line[256];
    unsigned long value;
    int64_t found = -1;
    FILE *f = open_info(pid, fd);
    while (f && found < 0 && fgets(line, sizeof line, f))
        if (sscanf(line, format, &value) == 1) found = (int64_t)value;
    if (f) fclose(f);
    return found;
}

static int access_mode(int pid, int fd) {
    int64_t flags = info_number(pid, fd, "flags: %lo");
    return flags < 0 ? O_RDWR : (int)flags & O_ACCMODE;
}

struct target {
    enum { TARGET_OTHER, TARGET_PIPE, TARGET_SOCKET, TARGET_EVENTFD, TARGET_EPOLL, TARGET_PATH } kind;
    uint64_t inode; // PIPE, SOCKET
};

// (A named pipe or socket shows as its path.)
static struct target target_of(int pid, int fd) {
    char path[64], text[64];
    struct target t = {TARGET_OTHER, 0};
    unsigned long inode;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
    ssize_t n = readlink(path, text, sizeof text - 1);
    if (n <= 0) return t;
    text[n] = 0;
    if (sscanf(text, "pipe:[%lu]", &inode) == 1) return (struct target){TARGET_PIPE, inode};
    if (sscanf(text, "socket:[%lu]", &inode) == 1) return (struct target){TARGET_SOCKET, inode};
    if (!strcmp(text, "anon_inode:[eventfd]")) t.kind = TARGET_EVENTFD;
    if (!strcmp(text, "anon_inode:[eventpoll]")) t.kind = TARGET_EPOLL;
    if (*text == '/') t.kind = TARGET_PATH;
    return t;
}

static int64_t eventfd_id(int pid, int fd) {
    return info_number(pid, fd, "eventfd-id: %lu");
}

// ---- what the recording made

struct made_file {
    enum file_kind kind;
    uint64_t id, peer; // peer 0: not known
};

static void remember_made(struct recorder *r, enum file_kind kind, uint64_t id, uint64_t peer) {
    if (r->waits->made_count == MADE_MAX) return; // what is not known is taken for something from outside
    array_push(r->waits->made, r->waits->made_count, (struct made_file){kind, id, peer});
}

// The kernel gives a number out again some day: the last one counts.
static const struct made_file *find_made(const struct recorder *r, enum file_kind kind, uint64_t id) {
    for (size_t i = r->waits->made_count; i-- > 0;)
        if (r->waits->made[i].kind == kind && r->waits->made[i].id == id) return &r->waits->made[i];
    return NULL;
}

// Has the call, which asked for an object with a key, made it? Nobody has used it yet, and it is not older than the recording.
// (The kernel's times are in seconds.)
static bool is_new(const struct recorder *r, const struct task *t, int id) {
    const struct call *c = &t->call;
    uint64_t flags = c->nr == SYS_semget ? c->args[2] : c->args[1];
    time_t recording = time(NULL) - (time_t)(r->clock_us / 1000000) - 1;
    struct semid_ds set;
    struct msqid_ds queue;
    if (!(flags & IPC_CREAT)) return false;
    if (flags & IPC_EXCL) return true;
    if (c->nr == SYS_semget)
        return !semctl(id, 0, IPC_STAT, &set) && !set.sem_otime && set.sem_ctime >= recording;
    return !msgctl(id, IPC_STAT, &queue) && !queue.msg_stime && !queue.msg_rtime &&
           queue.msg_ctime >= recording;
}

// `peer` 1: it has a key, so that anybody who knows it could use it.
static void made_sysv(struct recorder *r, const struct task *t, int key, uint32_t id) {
    if (key == IPC_PRIVATE || is_new(r, t, (int)id))
        remember_made(r, FILE_SYSV, (uint64_t)t->call.nr << 32 | id, key != IPC_PRIVATE);
}

static void made_pair(struct recorder *r, struct task *t, uint64_t address, bool sockets) {
    int fds[2];
    if (!tracee_read(t->tid, t->mm->mem_fd, address, fds, sizeof fds)) return;
    struct target a = target_of(t->tid, fds[0]), b = target_of(t->tid, fds[1]);
    if (!sockets && a.kind == TARGET_PIPE) remember_made(r, FILE_PIPE, a.inode, 0);
    if (!sockets || a.kind != TARGET_SOCKET || b.kind != TARGET_SOCKET) return;
    remember_made(r, FILE_SOCKET, a.inode, b.inode);
    remember_made(r, FILE_SOCKET, b.inode, a.inode);
}

static bool is_stream(uint64_t type) {
    int plain = (int)type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
    return plain == SOCK_STREAM || plain == SOCK_SEQPACKET;
}

void files_call(struct recorder *r, struct task *t, int64_t ret) {
    const uint64_t *a = t->call.args;
    int64_t id;
    struct target made;
    switch (t->call.nr) {
    case SYS_pipe:
    case SYS_pipe2:
        made_pair(r, t, a[0], false);
        break;
    case SYS_socketpair: // anybody who holds a datagram socket may be sent to by others, too
        if (a[0] == AF_UNIX && is_stream(a[1])) made_pair(r, t, a[3], true);
        break;
    case SYS_socket:
        if (a[0] != AF_UNIX || !is_stream(a[1])) break;
        made = target_of(t->tid, (int)ret);
        if (made.kind == TARGET_SOCKET) remember_made(r, FILE_SOCKET, made.inode, 0);
        break;
    case SYS_accept:
    case SYS_accept4:
        made = target_of(t->tid, (int)ret);
        if (made.kind == TARGET_SOCKET) remember_made(r, FILE_SOCKET, made.inode, 0);
        break;
    case SYS_eventfd:
    case SYS_eventfd2:
        if ((id = eventfd_id(t->tid, (int)ret)) >= 0) remember_made(r, FILE_EVENTFD, (uint64_t)id, 0);
        break;
    case SYS_semget:
    case SYS_msgget: // 32 bits: the sort of object, and its number
        made_sysv(r, t, (int)a[0], (uint32_t)ret);
        break;
    case SYS_setsockopt:
        if (a[1] == SOL_SOCKET && (a[2] == SO_RCVTIMEO_OLD || a[2] == SO_RCVTIMEO_NEW ||
                                   a[2] == SO_SNDTIMEO_OLD || a[2] == SO_SNDTIMEO_NEW))
            r->waits->socket_timeouts = true;
        break;
    case SYS_sendmsg: {
        if (t->mm->calls.noting) break; // made by the program itself: without any
        uint64_t control = 0;
        tracee_read(t->tid, t->mm->mem_fd, a[1] + offsetof(struct msghdr, msg_controllen), &control, 8);
        r->waits->fds_passed |= control > 0;
        break;
    }
    case SYS_sendmmsg:
    case SYS_pidfd_getfd:
        r->waits->fds_passed = true;
        break;
    default:
        break;
    }
}

void files_release(struct recorder *r) {
    free(r->waits->made);
    r->waits->made = NULL;
    r->waits->made_count = 0;
}

// ---- the other end of a socket that was connected by its name

struct peer_request {
    struct nlmsghdr header;
    struct unix_diag_req body;
};

static uint64_t peer_in(const char *answer, size_t length, uint64_t inode) {
    const struct nlmsghdr *h = (const void *)answer;
    if (!NLMSG_OK(h, length) || h->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        h->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg)))
        return 0;
    const struct unix_diag_msg *m = NLMSG_DATA(h);
    if (m->udiag_ino != inode || (m->udiag_type != SOCK_STREAM && m->udiag_type != SOCK_SEQPACKET)) return 0;
    const struct rtattr *attribute = (const void *)(m + 1);
    size_t left = h->nlmsg_len - NLMSG_LENGTH(sizeof *m);
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        uint32_t peer;
        if (attribute->rta_type != UNIX_DIAG_PEER || RTA_PAYLOAD(attribute) < sizeof peer) continue;
        memcpy(&peer, RTA_DATA(attribute), sizeof peer);
        return peer;
    }
    return 0;
}

// 0: none, or the kernel does not tell.
static uint64_t asked_peer(uint64_t inode) {
    _Alignas(8) char answer[4096];
    struct peer_request q = {
        .header = {.nlmsg_len = sizeof q, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
        .body = {.sdiag_family = AF_UNIX,
                 .udiag_states = ~0u,
                 .udiag_ino = (uint32_t)inode,
                 .udiag_show = UDIAG_SHOW_PEER,
                 .udiag_cookie = {~0u, ~0u}},
    };
    int s = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (s < 0) return 0;
    ssize_t n = send(s, &q, sizeof q, 0) == sizeof q ? recv(s, answer, sizeof answer, MSG_DONTWAIT) : 0;
    close(s);
    return n > 0 ? peer_in(answer, (size_t)n, inode) : 0;
}

static uint64_t peer_of(const struct recorder *r, uint64_t inode) {
    const struct made_file *own = find_made(r, FILE_SOCKET, inode);
    if (!own) return 0;
    if (own->peer) return own->peer;
    uint64_t peer = asked_peer(inode);
    return peer && find_made(r, FILE_SOCKET, peer) ? peer : 0;
}

// ---- what a call waits for

static struct awaited_file *add(struct file_wait *w, enum file_kind kind, int fd, uint64_t id) {
    if (w->count == FILE_WAITS) return NULL;
    struct awaited_file *f = &w->all[w->count++];
    *f = (struct awaited_file){.kind = kind, .fd = fd, .id = id};
    return f;
}

static bool add_pipe(struct recorder *r, struct task *t, struct file_wait *w, int fd, uint64_t inode) {
    int mode = access_mode(t->tid, fd);
    if (mode == O_RDWR || !find_made(r, FILE_PIPE, inode)) return false;
    struct awaited_file *f = add(w, FILE_PIPE, fd, inode);
    if (f) f->write = mode == O_WRONLY;
    return f;
}

static bool add_fd(struct recorder *r, struct task *t, struct file_wait *w, int fd) {
    struct target target = target_of(t->tid, fd);
    struct awaited_file *f;
    int64_t id;
    uint64_t peer;
    switch (target.kind) {
    case TARGET_PIPE:
        return add_pipe(r, t, w, fd, target.inode);
    case TARGET_SOCKET:
        if (r->waits->socket_timeouts || !(peer = peer_of(r, target.inode))) return false;
        f = add(w, FILE_SOCKET, fd, target.inode);
        if (f) f->peer = peer;
        return f;
    case TARGET_EVENTFD:
        id = eventfd_id(t->tid, fd);
        return id >= 0 && find_made(r, FILE_EVENTFD, (uint64_t)id) && add(w, FILE_EVENTFD, fd, (uint64_t)id);
    default:
        return false;
    }
}

static bool polled(struct recorder *r, struct task *t, struct file_wait *w) {
    struct pollfd fds[FILE_WAITS];
    uint64_t n = t->call.args[1];
    if (!n || n > FILE_WAITS || !tracee_read(t->tid, t->mm->mem_fd, t->call.args[0], fds, n * sizeof *fds))
        return false;
    for (uint64_t i = 0; i < n; i++)
        if (fds[i].fd >= 0 && !add_fd(r, t, w, fds[i].fd)) return false;
    return w->count > 0;
}

static bool selected(struct recorder *r, struct task *t, struct file_wait *w) {
    int n = (int)t->call.args[0];
    fd_set sets[3];
    memset(sets, 0, sizeof sets);
    if (n <= 0 || n > FD_SETSIZE) return false;
    for (int i = 0; i < 3; i++)
        if (t->call.args[1 + i] &&
            !tracee_read(t->tid, t->mm->mem_fd, t->call.args[1 + i], &sets[i], ((size_t)n + 63) / 64 * 8))
            return false;
    for (int fd = 0; fd < n; fd++) {
        bool any = FD_ISSET(fd, &sets[0]) || FD_ISSET(fd, &sets[1]) || FD_ISSET(fd, &sets[2]);
        if (any && !add_fd(r, t, w, fd)) return false;
    }
    return w->count > 0;
}

// The set keeps a file by the number that it had when it was added: is that what the number stands for now?
static bool still_that_file(struct task *t, int epoll, int fd) {
    struct kcmp_epoll_slot slot = {.efd = (uint32_t)epoll, .tfd = (uint32_t)fd, .toff = 0};
    return syscall(SYS_kcmp, t->tid, t->tid, KCMP_EPOLL_TFD, fd, &slot) == 0;
}

static int by_fd(const void *a, const void *b) {
    const struct awaited_file *x = a, *y = b;
    return x->fd < y->fd ? -1 : x->fd > y->fd;
}

// Lines as "tfd:        5 events:       19 data: ...".
static bool epolled(struct recorder *r, struct task *t, struct file_wait *w) {
    int epoll = (int)t->call.args[0];
    FILE *f = open_info(t->tid, epoll);
    char line[256];
    bool good = f;
    while (good && fgets(line, sizeof line, f)) {
        int fd;
        if (sscanf(line, "tfd: %d", &fd) != 1) continue;
        for (int i = 0; i < w->count; i++)
            good &= w->all[i].fd != fd; // two files that had the same number
        good = good && still_that_file(t, epoll, fd) && add_fd(r, t, w, fd);
    }
    if (f) fclose(f);
    if (!good || !w->count) return false;
    qsort(w->all, (size_t)w->count, sizeof *w->all, by_fd); // the kernel's order goes by addresses
    struct awaited_file *set = add(w, FILE_EPOLL, epoll, 0);
    if (set) set->waiter = t->tid;
    return set;
}

bool file_wait_of_no_file(const struct task *t) {
    char line[256];
    int fd;
    FILE *f = open_info(t->tid, (int)t->call.args[0]);
    bool none = f;
    while (none && fgets(line, sizeof line, f))
        none = sscanf(line, "tfd: %d", &fd) != 1;
    if (f) fclose(f);
    return none;
}

static bool sysv(struct recorder *r, struct task *t, struct file_wait *w) {
    long made_by = t->call.nr == SYS_msgrcv || t->call.nr == SYS_msgsnd ? SYS_msgget : SYS_semget;
    uint64_t id = (uint64_t)made_by << 32 | (uint32_t)t->call.args[0];
    const struct made_file *made = find_made(r, FILE_SYSV, id);
    struct awaited_file *f = made ? add(w, FILE_SYSV, (int)t->call.args[0], id) : NULL;
    if (f) f->named = made->peer;
    return f;
}

// ---- locks of files

struct lock_line {
    bool flock, ofd, write;
    unsigned major, minor;
    uint64_t inode, start, end;
};

// "lock:\t1: POSIX  ADVISORY  WRITE 12886 fe:00:11037340 5 14": device in hex, the last byte included or EOF.
static bool read_lock(const char *line, struct lock_line *out) {
    char kind[16], type[16], start[32], end[32];
    unsigned long inode;
    if (sscanf(line, "lock: %*d: %15s %*s %15s %*d %x:%x:%lu %31s %31s", kind, type, &out->major, &out->minor,
               &inode, start, end) != 7)
        return false;
    out->flock = !strcmp(kind, "FLOCK");
    out->ofd = !strcmp(kind, "OFDLCK");
    out->write = !strcmp(type, "WRITE");
    out->inode = inode;
    out->start = strtoull(start, NULL, 10);
    out->end = strcmp(end, "EOF") ? strtoull(end, NULL, 10) : UINT64_MAX;
    return out->flock || out->ofd || !strcmp(kind, "POSIX");
}

// The first lock through that fd which is in the way of `f`.
static bool in_the_way(const struct awaited_file *f, int pid, int fd, bool own_process) {
    char line[256];
    struct lock_line l;
    bool found = false;
    FILE *info = open_info(pid, fd);
    while (info && !found && fgets(line, sizeof line, info)) {
        if (!read_lock(line, &l) || l.inode != f->id || l.major != f->major || l.minor != f->minor) continue;
        bool own = own_process && !l.flock && !l.ofd; // fcntl's belong to the process
        found = l.flock == f->flock && !own && (l.write || f->exclusive) && l.start <= f->end &&
                f->start <= l.end;
    }
    if (info) fclose(info);
    return found;
}

// Locks that the waiting fd itself has change with what it asks for: who is in its way then is not worked out.
static bool has_locks(const struct task *t, int fd, bool flock) {
    char line[256];
    struct lock_line l;
    bool any = false;
    FILE *info = open_info(t->tid, fd);
    while (info && fgets(line, sizeof line, info))
        any |= read_lock(line, &l) && (flock ? l.flock : l.ofd);
    if (info) fclose(info);
    return any;
}

static struct awaited_file *add_lock(struct task *t, struct file_wait *w, int fd) {
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", t->tid, fd);
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode)) return NULL;
    struct awaited_file *f = add(w, FILE_LOCK, fd, st.st_ino);
    f->major = major(st.st_dev);
    f->minor = minor(st.st_dev);
    f->end = UINT64_MAX;
    f->waiter = t->process->pid;
    return f;
}

static bool flocked(struct recorder *r, struct task *t, struct file_wait *w) {
    (void)r;
    if (has_locks(t, (int)t->call.args[0], true)) return false;
    struct awaited_file *f = add_lock(t, w, (int)t->call.args[0]);
    if (!f) return false;
    f->flock = true;
    f->exclusive = t->call.args[1] & LOCK_EX;
    return true;
}

static bool locked(struct recorder *r, struct task *t, struct file_wait *w) {
    (void)r;
    struct flock request;
    int fd = (int)t->call.args[0];
    if ((t->call.args[1] != F_SETLKW && t->call.args[1] != F_OFD_SETLKW) || has_locks(t, fd, false) ||
        !tracee_read(t->tid, t->mm->mem_fd, t->call.args[2], &request, sizeof request))
        return false;
    int64_t at = request.l_whence == SEEK_SET ? 0 : -1;
    if (request.l_whence == SEEK_CUR) at = info_number(t->tid, fd, "pos: %lu");
    struct awaited_file *f = at >= 0 && request.l_len >= 0 ? add_lock(t, w, fd) : NULL;
    if (!f) return false;
    f->start = (uint64_t)(at + request.l_start);
    if (request.l_len) f->end = f->start + (uint64_t)request.l_len - 1;
    f->exclusive = request.l_type == F_WRLCK;
    return true;
}

static bool one_fd(struct recorder *r, struct task *t, struct file_wait *w) {
    return add_fd(r, t, w, (int)t->call.args[0]);
}

bool file_wait_of(struct recorder *r, struct task *t, struct file_wait *w) {
    static bool (*const of[SYSCALL_WAITS])(struct recorder *, struct task *, struct file_wait *) = {
        [WAITS_FD] = one_fd,     [WAITS_POLL] = polled,  [WAITS_SELECT] = selected, [WAITS_EPOLL] = epolled,
        [WAITS_FLOCK] = flocked, [WAITS_FCNTL] = locked, [WAITS_SYSV] = sysv,
    };
    w->count = 0;
    enum syscall_wait wait = syscall_wait(t->call.nr);
    return of[wait] && !syscall_has_timeout(t->call.nr, t->call.args) && of[wait](r, t, w);
}

// ---- who could end it

struct walk {
    const struct file_wait *waits;
    size_t count;
    bool locks; // some of them are locks
    struct file_ends *out;
};

static void found(struct walk *w, const struct awaited_file *f, struct process *p, int fd, bool far) {
    struct file_ends *out = w->out;
    array_push(out->all, out->count, (struct file_end){f, p, fd, far});
}

static void compare(struct walk *w, const struct awaited_file *f, const struct target *target, int tid,
                    int fd, struct process *p) {
    switch (f->kind) {
    case FILE_PIPE:
        if (target->kind == TARGET_PIPE && target->inode == f->id &&
            access_mode(tid, fd) != (f->write ? O_WRONLY : O_RDONLY))
            found(w, f, p, fd, true);
        break;
    case FILE_SOCKET: // also shutdown() on the near one ends the wait
        if (target->kind == TARGET_SOCKET && (target->inode == f->id || target->inode == f->peer))
            found(w, f, p, fd, target->inode == f->peer);
        break;
    case FILE_EVENTFD:
        if (target->kind == TARGET_EVENTFD && eventfd_id(tid, fd) == (int64_t)f->id) found(w, f, p, fd, true);
        break;
    case FILE_EPOLL: // where the kernel does not say which set it is, it is this one
        if (target->kind == TARGET_EPOLL && syscall(SYS_kcmp, f->waiter, tid, KCMP_FILE, f->fd, fd) <= 0)
            found(w, f, p, fd, true);
        break;
    case FILE_LOCK:
        if (target->kind == TARGET_PATH && in_the_way(f, tid, fd, p && p->pid == f->waiter))
            found(w, f, p, fd, true);
        break;
    case FILE_SYSV:
        break;
    }
}

static void ends_of(struct walk *w, int tid, struct process *p) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", tid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!isdigit((unsigned char)*e->d_name)) continue;
        int fd = atoi(e->d_name);
        struct target target = target_of(tid, fd);
        if (target.kind == TARGET_OTHER || (target.kind == TARGET_PATH && !w->locks)) continue;
        for (size_t i = 0; i < w->count; i++)
            for (int k = 0; k < w->waits[i].count; k++)
                compare(w, &w->waits[i].all[k], &target, tid, fd, p);
    }
    if (d) closedir(d);
}

// Processes that cannot be looked into are another user's: what was made in the recording gets there over a
// socket alone, and then the recorder has given up.
void file_ends_find(struct recorder *r, const struct file_wait *waits, size_t count, struct file_ends *out) {
    struct walk w = {.waits = waits, .count = count, .out = out};
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < count; i++)
        for (int k = 0; k < waits[i].count; k++)
            w.locks |= waits[i].all[k].kind == FILE_LOCK;
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
        ends_of(&w, tid, p);
    }
    if (d) closedir(d);
}

void file_ends_free(struct file_ends *ends) {
    free(ends->all);
}
