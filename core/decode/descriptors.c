#include "core/decode/descriptors.h"

#include "core/abi.h"
#include "core/array.h"
#include "core/decode/socket.h"
#include "core/calls/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum { NAME_ROOM = 4200, IOCTL_FIOCLEX = 0x5451, IOCTL_FIONCLEX = 0x5450 };

// What descriptor `fd` of a table is from an event on. Those of one descriptor are a chain, the newest first.
struct assignment {
    uint32_t table;
    int fd;
    uint64_t event;
    char *name; // NULL: closed, or unknown
    bool close_on_exec;
    uint32_t before; // number of the one before from 1, 0: none
};

// A process's descriptors. What it does not say itself is in the table that it was copied from.
struct fd_table {
    uint32_t parent; // number from 1, 0: none
    uint64_t born;   // the event of the copy
    uint64_t *execs; // events that closed what is to be closed then
    size_t exec_count;
};

// From an event on a task has a table.
struct owner {
    int tid;
    uint32_t table;
    uint64_t since;
    uint32_t before; // of the same tid
    long nr;         // the call that it is in, or was in last
    uint64_t args[6];
    bool called;
};

struct descriptors {
    struct assignment *items;
    struct fd_table *tables;
    struct owner *owners;
    size_t count, table_count, owner_count;
    struct hash by_fd, by_tid;
};

struct fd_key {
    uint32_t table;
    int fd;
};

static uint64_t key_of(uint32_t table, int fd) {
    return hash_mix((uint64_t)table << 32 | (uint32_t)fd);
}

static uint64_t item_key(const void *items, size_t i) {
    const struct assignment *a = (const struct assignment *)items + i;
    return key_of(a->table, a->fd);
}

static bool item_same(const void *items, size_t i, const void *key) {
    const struct assignment *a = (const struct assignment *)items + i;
    const struct fd_key *k = key;
    return a->table == k->table && a->fd == k->fd;
}

static uint64_t owner_key(const void *owners, size_t i) {
    return hash_mix((uint64_t)((const struct owner *)owners)[i].tid);
}

static bool owner_same(const void *owners, size_t i, const void *tid) {
    return ((const struct owner *)owners)[i].tid == *(const int *)tid;
}

struct descriptors *descriptors_new(void) {
    struct descriptors *d = calloc(1, sizeof *d);
    rf_assert(d);
    return d;
}

void descriptors_free(struct descriptors *d) {
    if (!d) return;
    for (size_t i = 0; i < d->count; i++)
        free(d->items[i].name);
    for (size_t i = 0; i < d->table_count; i++)
        free(d->tables[i].execs);
    free(d->items);
    free(d->tables);
    free(d->owners);
    hash_release(&d->by_fd);
    hash_release(&d->by_tid);
    free(d);
}

static uint32_t latest(const struct descriptors *d, uint32_t table, int fd) {
    return hash_find(&d->by_fd, key_of(table, fd), item_same, d->items, &(struct fd_key){table, fd});
}

static void assign(struct descriptors *d, uint32_t table, int64_t fd, uint64_t event, const char *name,
                   bool close_on_exec) {
    if (fd < 0 || fd > INT32_MAX) return;
    struct fd_key key = {table, (int)fd};
    rf_assert(hash_room(&d->by_fd, d->count, item_key, d->items));
    uint32_t before = latest(d, table, key.fd);
    struct assignment *a = array_add(d->items, d->count);
    *a = (struct assignment){table, key.fd, event, name ? strdup(name) : NULL, close_on_exec, before};
    *hash_slot(&d->by_fd, key_of(table, key.fd), item_same, d->items, &key) = (uint32_t)d->count;
}

static uint32_t new_table(struct descriptors *d, uint32_t parent, uint64_t event) {
    array_push(d->tables, d->table_count, (struct fd_table){.parent = parent, .born = event});
    return (uint32_t)d->table_count;
}

static struct owner *give_table(struct descriptors *d, int tid, uint32_t table, uint64_t event) {
    rf_assert(hash_room(&d->by_tid, d->owner_count, owner_key, d->owners));
    uint32_t before = hash_find(&d->by_tid, hash_mix((uint64_t)tid), owner_same, d->owners, &tid);
    array_push(d->owners, d->owner_count,
               (struct owner){.tid = tid, .table = table, .since = event, .before = before});
    *hash_slot(&d->by_tid, hash_mix((uint64_t)tid), owner_same, d->owners, &tid) = (uint32_t)d->owner_count;
    return &d->owners[d->owner_count - 1];
}

static struct owner *owner_of(const struct descriptors *d, int tid, uint64_t event) {
    uint32_t i = hash_find(&d->by_tid, hash_mix((uint64_t)tid), owner_same, d->owners, &tid);
    while (i && d->owners[i - 1].since > event)
        i = d->owners[i - 1].before;
    return i ? &d->owners[i - 1] : NULL;
}

// The first task of the recording, or one whose birth was not given.
static struct owner *know(struct descriptors *d, int tid, uint64_t event) {
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    struct owner *o = owner_of(d, tid, event);
    if (o) return o;
    uint32_t table = new_table(d, 0, event);
    for (int fd = 0; fd < 3; fd++)
        assign(d, table, fd, 0, names[fd], false);
    return give_table(d, tid, table, event);
}

static bool exec_between(const struct fd_table *t, uint64_t from, uint64_t until) {
    for (size_t i = t->exec_count; i-- > 0;)
        if (t->execs[i] > from && t->execs[i] <= until) return true;
    return false;
}

// What `fd` of the table is behind event `number`; NULL: closed or unknown.
static const struct assignment *find(const struct descriptors *d, uint32_t table, uint64_t number, int fd) {
    bool exec = false; // of a table on the way: what is closed on exec is gone
    while (table) {
        const struct fd_table *t = &d->tables[table - 1];
        uint32_t i = latest(d, table, fd);
        while (i && d->items[i - 1].event > number)
            i = d->items[i - 1].before;
        const struct assignment *a = i ? &d->items[i - 1] : NULL;
        if (a) {
            bool gone = a->close_on_exec && (exec || exec_between(t, a->event, number));
            return a->name && !gone ? a : NULL;
        }
        exec = exec || exec_between(t, t->born, number);
        number = t->born;
        table = t->parent;
    }
    return NULL;
}

bool descriptors_name(const struct descriptors *d, int tid, uint64_t number, int fd, char *name,
                      size_t size) {
    const struct owner *o = owner_of(d, tid, number);
    const struct assignment *a = o ? find(d, o->table, number, fd) : NULL;
    if (!a) return false;
    snprintf(name, size, "%s", a->name);
    return true;
}

const uint64_t *descriptors_arguments(const struct descriptors *d, int tid) {
    const struct owner *o = owner_of(d, tid, UINT64_MAX);
    return o && o->called ? o->args : NULL;
}

// ---- what the calls do
struct change {
    struct descriptors *d;
    const struct event *e;
    uint32_t table;
    uint64_t args[6];
    struct decode_memory memory;
};

static const struct assignment *now(const struct change *c, int fd) {
    return find(c->d, c->table, UINT64_MAX, fd);
}

static void set(const struct change *c, int64_t fd, const char *name, bool close_on_exec) {
    assign(c->d, c->table, fd, c->e->number, name, close_on_exec);
}

static bool read_path(const struct change *c, uint64_t address, char *path, size_t size) {
    const struct piece *p = event_piece(c->e, PIECE_TEXT, NULL);
    if (p && p->text.kind == TEXT_PATH && p->len) {
        snprintf(path, size, "%.*s", (int)(p->len < size ? p->len : size - 1), (const char *)p->data);
        return *path;
    }
    for (size_t have = 0; have + 1 < size; have++) {
        if (!decode_read(c->memory, address + have, path + have, 1)) return false;
        if (!path[have]) return have > 0;
    }
    return false;
}

// A path that does not begin at the root begins at the directory that openat names, if that is known.
static void opened(const struct change *c) {
    char path[4096], name[NAME_ROOM + 4096];
    uint64_t flags = 0;
    if ((c->memory.read || c->e->nr != SYS_openat2) &&
        !syscall_effect_value(c->e->nr, c->args, c->memory.read, c->memory.context, &flags))
        flags = 0;
    if (!read_path(c, syscall_effect_on(c->e->nr, c->args), path, sizeof path)) {
        set(c, c->e->ret, NULL, flags & O_CLOEXEC);
        return;
    }
    bool at = c->e->nr == SYS_openat || c->e->nr == SYS_openat2;
    const struct assignment *folder = at && *path != '/' ? now(c, (int)c->args[0]) : NULL;
    snprintf(name, sizeof name, "%s%s%s", folder ? folder->name : "", folder ? "/" : "", path);
    set(c, c->e->ret, name, flags & O_CLOEXEC);
}

static void paired(const struct change *c) {
    int fds[2];
    char name[64];
    bool pipe = c->e->nr == SYS_pipe || c->e->nr == SYS_pipe2;
    uint64_t flags = c->e->nr == SYS_pipe2 ? c->args[1] : pipe ? 0 : c->args[1];
    if (!decode_read(c->memory, syscall_effect_on(c->e->nr, c->args), fds, sizeof fds)) return;
    snprintf(name, sizeof name, pipe ? "pipe:[%llu]" : "UNIX:[%llu]", (unsigned long long)c->e->number);
    for (int i = 0; i < 2; i++)
        set(c, fds[i], name, flags & O_CLOEXEC); // SOCK_CLOEXEC is the same bit
}

static const char *socket_kind(const uint64_t args[6]) {
    bool stream = (args[1] & 0xf) == SOCK_STREAM, packets = (args[1] & 0xf) == SOCK_DGRAM;
    if (args[0] == AF_UNIX) return "UNIX";
    if (args[0] == AF_NETLINK) return "NETLINK";
    if (args[0] == AF_INET) return stream ? "TCP" : packets ? "UDP" : "socket";
    if (args[0] == AF_INET6) return stream ? "TCPv6" : packets ? "UDPv6" : "socket";
    return "socket";
}

// Descriptors of what has no name in a file system, and where their close-on-exec flag is.
static const struct {
    long nr;
    const char *kind; // NULL: socket_kind
    int flags;        // number of the argument, -1: none
} nameless[] = {
    {SYS_epoll_create, "anon_inode:[eventpoll]", -1}, {SYS_epoll_create1, "anon_inode:[eventpoll]", 0},
    {SYS_eventfd, "anon_inode:[eventfd]", -1},        {SYS_eventfd2, "anon_inode:[eventfd]", 1},
    {SYS_timerfd_create, "anon_inode:[timerfd]", 1},  {SYS_signalfd, "anon_inode:[signalfd]", -1},
    {SYS_signalfd4, "anon_inode:[signalfd]", 3},      {SYS_inotify_init, "anon_inode:inotify", -1},
    {SYS_inotify_init1, "anon_inode:inotify", 0},     {SYS_pidfd_open, "anon_inode:[pidfd]", -1},
    {SYS_userfaultfd, "anon_inode:[userfaultfd]", 0}, {SYS_socket, NULL, 1},
};

static bool created(const struct change *c) {
    char name[64];
    for (size_t i = 0; i < sizeof nameless / sizeof *nameless; i++) {
        if (nameless[i].nr != c->e->nr) continue;
        bool close_on_exec = nameless[i].flags >= 0 && c->args[nameless[i].flags] & O_CLOEXEC;
        if (nameless[i].kind)
            snprintf(name, sizeof name, "%s", nameless[i].kind);
        else
            snprintf(name, sizeof name, "%s:[%llu]", socket_kind(c->args), (unsigned long long)c->e->number);
        set(c, c->e->ret, name, close_on_exec || c->e->nr == SYS_pidfd_open);
        return true;
    }
    return false;
}

// Both ends of a connection have the address of the one that was bound.
static void addressed(const struct change *c, const char *arrow, uint32_t length) {
    char address[300], name[NAME_ROOM];
    struct text t = text_in(address, sizeof address);
    const struct assignment *a = now(c, (int)c->args[0]);
    if (!a || !decode_address_name(&t, c->memory, c->args[1], length)) return;
    size_t len = strcspn(a->name, "]");
    snprintf(name, sizeof name, "%.*s%s%s]", (int)len, a->name, arrow, address);
    set(c, c->args[0] & INT32_MAX, name, a->close_on_exec);
}

static void accepted(const struct change *c) {
    char address[300] = "", name[NAME_ROOM];
    uint32_t length;
    struct text t = text_in(address, sizeof address);
    const struct assignment *a = now(c, (int)c->args[0]);
    if (decode_read(c->memory, c->args[2], &length, sizeof length))
        decode_address_name(&t, c->memory, c->args[1], length);
    snprintf(name, sizeof name, "%.*s:[%llu%s%s]", a ? (int)strcspn(a->name, ":") : 6, a ? a->name : "socket",
             (unsigned long long)c->e->number, *address ? "->" : "", address);
    set(c, c->e->ret, name, c->e->nr == SYS_accept4 && c->args[3] & SOCK_CLOEXEC);
}

static void copied(const struct change *c, int64_t to, bool close_on_exec) {
    const struct assignment *a = now(c, (int)c->args[0]);
    set(c, to, a ? a->name : NULL, close_on_exec);
}

static void flagged(const struct change *c, bool close_on_exec) {
    const struct assignment *a = now(c, (int)c->args[0]);
    if (a) set(c, (int)c->args[0], a->name, close_on_exec);
}

static void unshare_files(const struct change *c) {
    give_table(c->d, c->e->tid, new_table(c->d, c->table, c->e->number), c->e->number);
}

// Every descriptor that this table or one before it has ever named.
static void close_many(const struct change *c) {
    uint64_t first = (uint32_t)c->args[0], last = (uint32_t)c->args[1];
    uint32_t table = c->table;
    size_t count = c->d->count;
    for (; table; table = c->d->tables[table - 1].parent)
        for (size_t i = 0; i < count; i++) {
            const struct assignment *a = &c->d->items[i];
            if (a->table != table || (uint64_t)a->fd < first || (uint64_t)a->fd > last) continue;
            const struct assignment *is = now(c, a->fd);
            if (!is) continue;
            bool later = c->args[2] & CLOSE_RANGE_CLOEXEC;
            set(c, is->fd, later ? is->name : NULL, later);
        }
}

static void received(const struct change *c) {
    struct msghdr m;
    char control[1024];
    if (!decode_read(c->memory, c->args[1], &m, sizeof m) || m.msg_controllen > sizeof control ||
        !decode_read(c->memory, (uint64_t)m.msg_control, control, m.msg_controllen))
        return;
    struct cmsghdr head;
    for (size_t at = 0; at + sizeof head <= m.msg_controllen; at += CMSG_ALIGN(head.cmsg_len)) {
        memcpy(&head, control + at, sizeof head);
        if (head.cmsg_len < sizeof head || head.cmsg_len > m.msg_controllen - at) return;
        if (head.cmsg_level != SOL_SOCKET || head.cmsg_type != SCM_RIGHTS) continue;
        for (size_t i = sizeof head; i + sizeof(int) <= head.cmsg_len; i += sizeof(int)) {
            int fd;
            char name[64];
            memcpy(&fd, control + at + i, sizeof fd);
            snprintf(name, sizeof name, "received:[%llu]", (unsigned long long)c->e->number);
            set(c, fd, name, c->args[2] & MSG_CMSG_CLOEXEC);
        }
    }
}

static void of_request(const struct change *c) {
    uint32_t request = (uint32_t)c->args[1];
    if (c->e->nr == SYS_fcntl && (request == F_DUPFD || request == F_DUPFD_CLOEXEC))
        copied(c, c->e->ret, request == F_DUPFD_CLOEXEC);
    else if (c->e->nr == SYS_fcntl && request == F_SETFD)
        flagged(c, c->args[2] & FD_CLOEXEC);
    else if (c->e->nr == SYS_ioctl && (request == IOCTL_FIOCLEX || request == IOCTL_FIONCLEX))
        flagged(c, request == IOCTL_FIOCLEX);
}

static void of_call(const struct change *c) {
    char name[300], text[280];
    switch (c->e->nr) {
    case SYS_dup:
        copied(c, c->e->ret, false);
        break;
    case SYS_dup2:
        if (c->args[0] != c->args[1]) copied(c, c->e->ret, false);
        break;
    case SYS_dup3:
        copied(c, c->e->ret, c->args[2] & O_CLOEXEC);
        break;
    case SYS_fcntl:
    case SYS_ioctl:
        of_request(c);
        break;
    case SYS_close_range:
        if (c->args[2] & CLOSE_RANGE_UNSHARE) {
            unshare_files(c);
            struct change own = *c;
            own.table = owner_of(c->d, c->e->tid, UINT64_MAX)->table;
            close_many(&own);
        } else {
            close_many(c);
        }
        break;
    case SYS_unshare:
        if (c->args[0] & CLONE_FILES) unshare_files(c);
        break;
    case SYS_memfd_create:
        if (!read_path(c, c->args[0], text, sizeof text)) *text = 0;
        snprintf(name, sizeof name, "/memfd:%s", text);
        set(c, c->e->ret, name, c->args[1] & 1 /* MFD_CLOEXEC */);
        break;
    case SYS_accept:
    case SYS_accept4:
        accepted(c);
        break;
    case SYS_connect:
        addressed(c, "->", (uint32_t)c->args[2]);
        break;
    case SYS_bind:
        addressed(c, " ", (uint32_t)c->args[2]);
        break;
    case SYS_recvmsg:
        received(c);
        break;
    default:
        break;
    }
}

static void returned(struct descriptors *d, const struct event *e, const struct owner *o,
                     struct decode_memory memory) {
    struct change c = {.d = d, .e = e, .table = o->table, .memory = memory};
    memcpy(c.args, o->args, sizeof c.args);
    if (e->nr == SYS_close) {
        if (e->ret != -EBADF) set(&c, (int)c.args[0], NULL, false); // free also when close fails
        return;
    }
    if (is_error(e->ret) && !(e->nr == SYS_connect && e->ret == -EINPROGRESS)) return;
    switch (syscall_effect(e->nr)) {
    case EFFECT_OPEN:
        opened(&c);
        return;
    case EFFECT_NEW_PAIR:
        paired(&c);
        return;
    default:
        if (!created(&c)) of_call(&c);
        return;
    }
}

static void born(struct descriptors *d, const struct event *e, const struct owner *parent,
                 struct decode_memory memory) {
    uint64_t flags = parent->nr == SYS_clone ? parent->args[0] : 0;
    uint32_t table = parent->table;
    bool known = parent->nr != SYS_clone3 || decode_read(memory, parent->args[0], &flags, sizeof flags);
    bool shared = known ? flags & CLONE_FILES : e->flags & EVF_THREAD;
    give_table(d, (int)e->ret, shared ? table : new_table(d, table, e->number), e->number);
}

void descriptors_event(struct descriptors *d, const struct event *e, struct decode_memory memory) {
    if (e->tid == 0) return;
    struct owner *o = know(d, e->tid, e->number);
    switch (e->kind) {
    case EV_SYSCALL:
    case EV_ENTER:
        if (e->flags & EVF_REGS) abi_arguments(&e->regs, o->args);
        o->called = e->flags & EVF_REGS;
        o->nr = e->nr;
        if (e->kind == EV_SYSCALL && o->called) returned(d, e, o, memory);
        break;
    case EV_EXIT:
        if (o->called) returned(d, e, o, memory);
        break;
    case EV_BIRTH:
        born(d, e, o, memory);
        break;
    case EV_EXEC: {
        // The process is alone with its descriptors from now on.
        uint32_t table = new_table(d, o->table, e->number - 1);
        array_push(d->tables[table - 1].execs, d->tables[table - 1].exec_count, e->number);
        give_table(d, e->tid, table, e->number);
        break;
    }
    default:
        break;
    }
}
