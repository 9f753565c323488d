// Ranges of the calls whose arguments do not fit a row: message headers, value-result lengths, fd sets, IPC
// control. Each function is named by a CALL(...) in core/calls/syscalls.def.
#include "core/calls/syscall_calls.h"

#include "core/calls/syscall_numbers.h"

#include <linux/futex.h>
#include <linux/dqblk_xfs.h>
#include <linux/fcntl.h>
#include <linux/quota.h>
#include <assert.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

// FDS_BYTES of the kernel: whole 8-byte words. The kernel also cuts n at the size of the process's fd table,
// so that programs may pass getdtablesize() with a 128-byte fd_set: beyond what can be read nothing is
// claimed.
void walk_select(struct walk *w) {
    int32_t n = (int32_t)w->args[0];
    uint64_t bytes = n > 0 ? ((uint64_t)n + 63) / 64 * 8 : 0;
    if (walk_ok(w)) {
        for (int i = 1; i <= 3; i++)
            if (bytes <= 128)
                walk_add(w, RANGE_INOUT, i, w->args[i], bytes);
            else
                walk_add_readable(w, RANGE_INOUT, i, w->args[i], bytes);
    }
    // the time that is left, whatever the result: timeval or timespec
    walk_add_readable(w, RANGE_INOUT, 4, w->args[4], 16);
}

void walk_clock_nanosleep(struct walk *w) {
    if (w->args[1] & TIMER_ABSTIME) return;
    if (!w->result || result_interrupted(*w->result)) walk_add_readable(w, RANGE_INOUT, 3, w->args[3], 16);
}

// infop: si_signo, si_errno, si_code, si_pid, si_uid, si_status (28 of the 128 bytes; 12..15 are skipped),
// also when waitid failed or found nobody (zeros then). The result is 0 with and without a child, so rusage
// may be untouched.
void walk_waitid(struct walk *w) {
    walk_add_readable(w, RANGE_INOUT, 2, w->args[2], 28);
    if (walk_ok(w)) walk_add(w, RANGE_INOUT, 4, w->args[4], 144);
}

// ---- sockets

// Value-result length: an int in memory. At exit it is the full length, which may be more than was written:
// INOUT.
static void value_result(struct walk *w, int arg, int length_arg, uint64_t most) {
    int32_t length;
    if (!walk_read(w, w->args[length_arg], &length, sizeof length)) return;
    if (length > 0) {
        uint64_t size = (uint64_t)length < most ? (uint64_t)length : most;
        walk_add_readable(w, RANGE_INOUT, arg, w->args[arg], size);
    }
    walk_add(w, RANGE_INOUT, length_arg, w->args[length_arg], 4);
}

#define ADDRESS_MAX 128 // struct sockaddr_storage

void walk_socket_name(struct walk *w) {
    if (walk_ok(w)) value_result(w, 1, 2, ADDRESS_MAX);
}

#define SO_GET_FILTER_OPTION 26

// Replacing a table of iptables, ip6tables or arptables (SO_SET_REPLACE) gives back the counters of the old one: struct ipt_replace
// has their number, num_counters, and the address of as many struct xt_counters (16 bytes), whose place depends on the number
// of hooks: 5, of arptables 3.
void walk_setsockopt(struct walk *w) {
    enum { SOL_OF_IP = 0, SOL_OF_IPV6 = 41, IPT_SET_REPLACE = 64, ARPT_SET_REPLACE = 96 };
    int32_t level = (int32_t)w->args[1], option = (int32_t)w->args[2];
    bool ipt = (level == SOL_OF_IP || level == SOL_OF_IPV6) && option == IPT_SET_REPLACE;
    bool arpt = level == SOL_OF_IP && option == ARPT_SET_REPLACE;
    if ((!ipt && !arpt) || !walk_ok(w)) return;
    uint64_t at = w->args[3] + 32 + 3 * 4 + 2 * 4 * (ipt ? 5u : 3u), counters;
    uint32_t count;
    if (!walk_read(w, at, &count, sizeof count) || count > 1u << 20) return;
    if (!walk_read(w, w->args[3] + (ipt ? 88u : 72u), &counters, sizeof counters)) return;
    walk_add_readable(w, RANGE_INOUT, -1, counters, (uint64_t)count * 16);
}

void walk_getsockopt(struct walk *w) {
    int32_t length;
    if (!walk_read(w, w->args[4], &length, sizeof length)) return;
    // Some options say in *optlen how much room they need when they fail with ERANGE.
    walk_add(w, RANGE_INOUT, 4, w->args[4], 4);
    if (!walk_ok(w) || length <= 0) return;
    uint64_t size = (uint64_t)length;
    if ((int32_t)w->args[1] == SOL_SOCKET && (int32_t)w->args[2] == SO_GET_FILTER_OPTION)
        size *= 8; // counted in struct sock_filter, not in bytes
    walk_add_readable(w, RANGE_INOUT, 3, w->args[3], size);
}

void walk_recvfrom(struct walk *w) {
    if (!walk_ok(w)) return;
    uint64_t size = w->args[2];
    if (w->result && (uint64_t)*w->result < size) size = (uint64_t)*w->result;
    // With MSG_TRUNC the result is the length of the packet, and TCP writes nothing at all.
    int dir = (uint32_t)w->args[3] & MSG_TRUNC ? RANGE_INOUT : RANGE_OUT;
    walk_add(w, dir, 1, w->args[1], size);
    value_result(w, 4, 5, ADDRESS_MAX);
}

// struct user_msghdr: 0 name, 8 namelen (int), 16 iov, 24 iovlen, 32 control, 40 controllen, 48 flags (int);
// 56 bytes. struct mmsghdr: the same and msg_len (u32) at 56; 64 bytes.
struct message {
    uint64_t name;
    int32_t name_length, pad0;
    uint64_t iov, iov_length, control, control_length;
    uint32_t flags, pad1;
    uint32_t sent, pad2;
};
static_assert(offsetof(struct message, sent) == 56 && sizeof(struct message) == 64, "struct mmsghdr");

#define MESSAGE_SIZE 56

// What recvmsg fills beside the header: the data (`got` bytes of it), name and control. At exit the lengths
// are those that the kernel stored (msg_namelen may exceed the room, the padding of control messages is not
// written): INOUT.
static void received(struct walk *w, const struct message *m, uint64_t got, int dir) {
    walk_iovec(w, dir, m->iov, m->iov_length, got);
    if (m->name_length > 0) {
        uint64_t size = m->name_length < ADDRESS_MAX ? (uint64_t)m->name_length : ADDRESS_MAX;
        walk_add_readable(w, RANGE_INOUT, -1, m->name, size);
    }
    walk_add_readable(w, RANGE_INOUT, -1, m->control, m->control_length);
}

void walk_recvmsg(struct walk *w) {
    struct message m;
    if (!walk_ok(w) || !walk_read(w, w->args[1], &m, MESSAGE_SIZE)) return;
    walk_add(w, RANGE_INOUT, 1, w->args[1], MESSAGE_SIZE);
    int dir = (uint32_t)w->args[2] & MSG_TRUNC ? RANGE_INOUT : RANGE_OUT;
    received(w, &m, w->result ? (uint64_t)*w->result : UINT64_MAX, dir);
}

void walk_sendmsg(struct walk *w) {
    struct message m;
    if (!walk_ok(w) || !walk_read(w, w->args[1], &m, MESSAGE_SIZE)) return;
    walk_iovec(w, RANGE_IN, m.iov, m.iov_length, w->result ? (uint64_t)*w->result : UINT64_MAX);
}

// The vector itself is one range; the result is the number of messages.
static void messages(struct walk *w, int timeout) {
    uint64_t count = (uint32_t)w->args[2];
    if (!walk_ok(w)) return;
    if (count > 1024) count = 1024; // UIO_MAXIOV
    if (w->result && (uint64_t)*w->result < count) count = (uint64_t)*w->result;
    walk_add(w, RANGE_INOUT, 1, w->args[1], count * sizeof(struct message));
    if (timeout) walk_add_readable(w, RANGE_INOUT, timeout, w->args[timeout], 16);
    int out = (uint32_t)w->args[3] & MSG_TRUNC ? RANGE_INOUT : RANGE_OUT;
    for (uint64_t i = 0; i < count && w->count >= 0; i++) {
        struct message m;
        if (!walk_read(w, w->args[1] + i * sizeof m, &m, sizeof m)) return;
        uint64_t limit = w->result ? m.sent : UINT64_MAX;
        if (timeout)
            received(w, &m, limit, out);
        else
            walk_iovec(w, RANGE_IN, m.iov, m.iov_length, limit);
    }
}

void walk_recvmmsg(struct walk *w) {
    messages(w, 4);
}

void walk_sendmmsg(struct walk *w) {
    messages(w, 0);
}

void walk_mq_timedsend(struct walk *w) {
    if (walk_ok(w)) walk_add(w, RANGE_IN, 1, w->args[1], w->args[2]);
}

// long mtype, then the text
void walk_msgrcv(struct walk *w) {
    if (!walk_ok(w)) return;
    uint64_t size = w->args[2];
    if (w->result && (uint64_t)*w->result < size) size = (uint64_t)*w->result;
    if (size > 0x7fffffff) return; // EINVAL
    walk_add(w, RANGE_OUT, 1, w->args[1], size + 8);
}

// ---- the rest

// PI futexes and WAKE_OP: the kernel itself changes the word, on failures too (FUTEX_WAITERS is set before
// the wait).
void walk_futex(struct walk *w) {
    switch ((uint32_t)w->args[1] & (uint32_t)FUTEX_CMD_MASK) {
    case FUTEX_WAKE_OP:
        if (walk_ok(w)) walk_add(w, RANGE_INOUT, 4, w->args[4], 4);
        return;
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
    case FUTEX_TRYLOCK_PI:
    case FUTEX_UNLOCK_PI:
        walk_add_readable(w, RANGE_INOUT, 0, w->args[0], 4);
        return;
    case FUTEX_WAIT_REQUEUE_PI:
    case FUTEX_CMP_REQUEUE_PI:
        walk_add_readable(w, RANGE_INOUT, 4, w->args[4], 4);
        return;
    }
}

// READ 2, READ_ALL 3, READ_CLEAR 4; the other actions write nothing (SIZE_BUFFER's result is no length of the
// buffer)
void walk_syslog(struct walk *w) {
    int32_t action = (int32_t)w->args[0], size = (int32_t)w->args[2];
    if (action < 2 || action > 4 || size <= 0 || !walk_ok(w)) return;
    walk_add(w, RANGE_OUT, 1, w->args[1],
             w->result && *w->result < size ? (uint64_t)*w->result : (uint64_t)size);
}

// struct __user_cap_header_struct: u32 version, int pid. A version that the kernel does not know is replaced
// by its own.
void walk_capget(struct walk *w) {
    uint32_t version;
    walk_add_readable(w, RANGE_INOUT, 0, w->args[0], 8);
    if (!walk_ok(w) || !walk_read(w, w->args[0], &version, sizeof version)) return;
    walk_add(w, RANGE_OUT, 1, w->args[1], version == 0x19980330 ? 12 : 24);
}

// struct file_handle: u32 handle_bytes, int handle_type, bytes. EOVERFLOW (75) stores the bytes that it
// needs, and the mount id.
void walk_name_to_handle_at(struct walk *w) {
    uint32_t bytes;
    bool overflow = w->result && *w->result == -75;
    if ((!walk_ok(w) && !overflow) || !walk_read(w, w->args[2], &bytes, sizeof bytes)) return;
    if (bytes > 128 || overflow) bytes = 0; // MAX_HANDLE_SZ
    walk_add(w, RANGE_INOUT, 2, w->args[2], 8 + bytes);
    bool wide = (uint32_t)w->args[4] & 1; // AT_HANDLE_MNT_ID_UNIQUE
    walk_add_readable(w, RANGE_OUT, 3, w->args[3], wide ? 8 : 4);
}

// The strings follow the structure; how long all of it is stands in the first word.
void walk_statmount(struct walk *w) {
    if (walk_ok(w)) walk_add_readable(w, RANGE_INOUT, 1, w->args[1], w->args[2]);
}

// struct xattr_args: u64 value, u32 size, u32 flags
void walk_getxattrat(struct walk *w) {
    struct {
        uint64_t value;
        uint32_t size, flags;
    } a;
    if (!walk_ok(w) || !walk_read(w, w->args[4], &a, sizeof a)) return;
    uint64_t size = w->result && (uint64_t)*w->result < a.size ? (uint64_t)*w->result : a.size;
    walk_add(w, RANGE_OUT, -1, a.value, size);
}

// 0: reads the table, 2: the default one; the others write entries. (Its errors are of 32 bits.)
void walk_modify_ldt(struct walk *w) {
    uint64_t operation = w->args[0], got = w->result ? (uint64_t)*w->result : w->args[2];
    if (!walk_ok(w) || (operation != 0 && operation != 2) || got > w->args[2]) return;
    walk_add(w, RANGE_OUT, 1, w->args[1], got);
}

// Operations by number (linux/keyctl.h). Of a key's description and content the kernel stores nothing when it does not fit, of
// its security label what fits.
void walk_keyctl(struct walk *w) {
    enum {
        DESCRIBE = 6,
        READ = 11,
        SECURITY = 17,
        COMPUTE = 23,
        QUERY = 24,
        ENCRYPT = 25,
        SIGN = 27,
        CAPABILITIES = 31
    };
    uint32_t operation = (uint32_t)w->args[0], params[3];
    uint64_t size = w->args[3], result = w->result ? (uint64_t)*w->result : size;
    if (!walk_ok(w)) return;
    switch (operation) {
    case DESCRIBE:
    case READ:
    case COMPUTE:
        if (result <= size) walk_add(w, RANGE_OUT, 2, w->args[2], result);
        return;
    case SECURITY:
        walk_add(w, RANGE_OUT, 2, w->args[2], result < size ? result : size);
        return;
    case QUERY: // struct keyctl_pkey_query
        walk_add(w, RANGE_OUT, 4, w->args[4], 64);
        return;
    case CAPABILITIES: // the rest is cleared
        walk_add(w, RANGE_OUT, 1, w->args[1], w->args[2]);
        return;
    default:
        // struct keyctl_pkey_params: key, length of the input, of the output
        if (operation < ENCRYPT || operation > SIGN || !walk_read(w, w->args[1], params, sizeof params))
            return;
        if (!w->result) result = params[2];
        walk_add(w, RANGE_OUT, 4, w->args[4], result < params[2] ? result : params[2]);
        return;
    }
}

// A list whose size in bytes stands at `size`: what there was room for at entry, what was needed at exit (E2BIG: only that is
// stored). Entries need not fill it.
static void sized_list(struct walk *w, int list, int size) {
    uint32_t bytes;
    walk_add_readable(w, RANGE_INOUT, size, w->args[size], sizeof bytes);
    if (walk_ok(w) && walk_read(w, w->args[size], &bytes, sizeof bytes))
        walk_add_readable(w, RANGE_INOUT, list, w->args[list], bytes);
}

void walk_lsm_get_self_attr(struct walk *w) {
    sized_list(w, 1, 2);
}

void walk_lsm_list_modules(struct walk *w) {
    sized_list(w, 0, 1);
}

void walk_interrupted(struct walk *w) {
    w->count = -1;
}

// Option 2 writes a file system's name, with its NUL.
void walk_sysfs(struct walk *w) {
    char name[64];
    size_t n = w->result ? 0 : sizeof name;
    if (w->args[0] != 2 || !walk_ok(w)) return;
    while (n < sizeof name && walk_read(w, w->args[2] + n, &name[n], 1))
        if (!name[n++]) break;
    walk_add_readable(w, RANGE_INOUT, 2, w->args[2], n);
}

// The command stands above a byte with the kind of quota: argument 0, and argument 1 of quotactl_fd.
void walk_quotactl(struct walk *w) {
    static const struct {
        uint32_t command;
        uint16_t size;
    } written[] = {
        {Q_GETFMT, 4},
        {Q_GETINFO, sizeof(struct if_dqinfo)},
        {Q_GETQUOTA, sizeof(struct if_dqblk)},
        {Q_GETNEXTQUOTA, sizeof(struct if_nextdqblk)},
        {Q_XGETQUOTA, sizeof(struct fs_disk_quota)},
        {Q_XGETNEXTQUOTA, sizeof(struct fs_disk_quota)},
        {Q_XGETQSTAT, sizeof(struct fs_quota_stat)},
        {Q_XGETQSTATV, sizeof(struct fs_quota_statv)},
    };
    uint32_t command = (uint32_t)w->args[w->nr == __NR_quotactl ? 0 : 1] >> 8;
    for (size_t i = 0; walk_ok(w) && i < sizeof written / sizeof *written; i++)
        if (written[i].command == command) walk_add_readable(w, RANGE_INOUT, 3, w->args[3], written[i].size);
}

// copy_nodes_to_user: all bits below the given number, in whole words
void walk_get_mempolicy(struct walk *w) {
    uint64_t nodes = w->args[2] - 1;
    if (walk_ok(w) && w->args[2]) walk_add_readable(w, RANGE_INOUT, 1, w->args[1], (nodes + 63) / 64 * 8);
}
