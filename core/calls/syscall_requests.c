// Calls that decide by a request number: ioctl, fcntl, prctl, arch_prctl, futex, System V IPC, and those of
// which only some requests are answered here (seccomp, membarrier, unshare, getsockopt). One table row a
// request.
#include "core/calls/syscall_requests.h"

#include "core/calls/syscall_numbers.h"

#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/fanotify.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>

enum { NONE = -1, OUT = RANGE_OUT, INOUT = RANGE_INOUT };

// What is done with a request.
enum action {
    LET,    // the kernel answers; `size` bytes at argument `arg` are written
    FAKED,  // answered `answer`, nobody needs to know
    REFUSED // answered `answer`, and said
};

struct request {
    const char *name;
    uint32_t number;
    int8_t dir; // NONE, OUT, INOUT
    uint8_t action;
    uint8_t arg;   // index of the argument with the address
    uint8_t block; // may sleep without bound
    uint16_t size;
    int16_t answer;
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static const struct request ioctls[] = {
#define IOCTL(request, value, direction, bytes, sleeps)                                                      \
    {.name = #request, .number = (value), .dir = (direction), .arg = 2, .block = (sleeps), .size = (bytes)},
#include "core/calls/ioctls.def"
#undef IOCTL
};

#define PLAIN(name, number)                                                                                  \
    { name, number, NONE, LET, 0, 0, 0, 0 }
#define WRITES(name, number, arg, size)                                                                      \
    { name, number, OUT, LET, arg, 0, size, 0 }
#define FAKES(name, number, answer)                                                                          \
    { name, number, NONE, FAKED, 0, 0, 0, answer }
#define REFUSES(name, number, answer)                                                                        \
    { name, number, NONE, REFUSED, 0, 0, 0, answer }

static const struct request fcntls[] = {
    PLAIN("F_DUPFD", 0),
    PLAIN("F_GETFD", 1),
    PLAIN("F_SETFD", 2),
    PLAIN("F_GETFL", 3),
    PLAIN("F_SETFL", 4),
    {"F_GETLK", 5, INOUT, LET, 2, 0, 32, 0},
    PLAIN("F_SETLK", 6),
    {"F_SETLKW", 7, NONE, LET, 0, 1, 0, 0},
    PLAIN("F_SETOWN", 8),
    PLAIN("F_GETOWN", 9),
    PLAIN("F_SETSIG", 10),
    PLAIN("F_GETSIG", 11),
    PLAIN("F_SETOWN_EX", 15),
    WRITES("F_GETOWN_EX", 16, 2, 8),
    WRITES("F_GETOWNER_UIDS", 17, 2, 8),
    {"F_OFD_GETLK", 36, INOUT, LET, 2, 0, 32, 0},
    PLAIN("F_OFD_SETLK", 37),
    {"F_OFD_SETLKW", 38, NONE, LET, 0, 1, 0, 0},
    PLAIN("F_SETLEASE", 1024),
    PLAIN("F_GETLEASE", 1025),
    PLAIN("F_NOTIFY", 1026),
    PLAIN("F_DUPFD_QUERY", 1027),
    PLAIN("F_CREATED_QUERY", 1028),
    PLAIN("F_CANCELLK", 1029),
    PLAIN("F_DUPFD_CLOEXEC", 1030),
    PLAIN("F_SETPIPE_SZ", 1031),
    PLAIN("F_GETPIPE_SZ", 1032),
    PLAIN("F_ADD_SEALS", 1033),
    PLAIN("F_GET_SEALS", 1034),
    WRITES("F_GET_RW_HINT", 1035, 2, 8),
    PLAIN("F_SET_RW_HINT", 1036),
    WRITES("F_GET_FILE_RW_HINT", 1037, 2, 8),
    PLAIN("F_SET_FILE_RW_HINT", 1038),
};

static const struct request prctls[] = {
    PLAIN("PR_SET_PDEATHSIG", 1),
    WRITES("PR_GET_PDEATHSIG", 2, 1, 4),
    PLAIN("PR_GET_DUMPABLE", 3),
    // a process that is not dumpable closes /proc/PID to an ordinary user's recorder
    FAKES("PR_SET_DUMPABLE", 4, 0),
    FAKES("PR_GET_UNALIGN", 5, -EINVAL),
    FAKES("PR_SET_UNALIGN", 6, -EINVAL),
    PLAIN("PR_GET_KEEPCAPS", 7),
    PLAIN("PR_SET_KEEPCAPS", 8),
    FAKES("PR_GET_FPEMU", 9, -EINVAL),
    FAKES("PR_SET_FPEMU", 10, -EINVAL),
    FAKES("PR_GET_FPEXC", 11, -EINVAL),
    FAKES("PR_SET_FPEXC", 12, -EINVAL),
    PLAIN("PR_GET_TIMING", 13),
    PLAIN("PR_SET_TIMING", 14),
    PLAIN("PR_SET_NAME", 15),
    WRITES("PR_GET_NAME", 16, 1, 16),
    FAKES("PR_GET_ENDIAN", 19, -EINVAL),
    FAKES("PR_SET_ENDIAN", 20, -EINVAL),
    // recorder/emulate/seccomp.c
    FAKES("PR_GET_SECCOMP", 21, 0),
    FAKES("PR_SET_SECCOMP", 22, -EINVAL),
    PLAIN("PR_CAPBSET_READ", 23),
    PLAIN("PR_CAPBSET_DROP", 24),
    // the recorder traps rdtsc with these
    FAKES("PR_GET_TSC", 25, -EINVAL),
    FAKES("PR_SET_TSC", 26, 0),
    PLAIN("PR_GET_SECUREBITS", 27),
    PLAIN("PR_SET_SECUREBITS", 28),
    PLAIN("PR_SET_TIMERSLACK", 29),
    PLAIN("PR_GET_TIMERSLACK", 30),
    PLAIN("PR_TASK_PERF_EVENTS_DISABLE", 31),
    PLAIN("PR_TASK_PERF_EVENTS_ENABLE", 32),
    PLAIN("PR_MCE_KILL", 33),
    PLAIN("PR_MCE_KILL_GET", 34),
    PLAIN("PR_SET_MM", 35),
    PLAIN("PR_SET_CHILD_SUBREAPER", 36),
    WRITES("PR_GET_CHILD_SUBREAPER", 37, 1, 4),
    PLAIN("PR_SET_NO_NEW_PRIVS", 38),
    PLAIN("PR_GET_NO_NEW_PRIVS", 39),
    WRITES("PR_GET_TID_ADDRESS", 40, 1, 8),
    PLAIN("PR_SET_THP_DISABLE", 41),
    PLAIN("PR_GET_THP_DISABLE", 42),
    FAKES("PR_MPX_ENABLE_MANAGEMENT", 43, -EINVAL),
    FAKES("PR_MPX_DISABLE_MANAGEMENT", 44, -EINVAL),
    FAKES("PR_SET_FP_MODE", 45, -EINVAL),
    FAKES("PR_GET_FP_MODE", 46, -EINVAL),
    PLAIN("PR_CAP_AMBIENT", 47),
    FAKES("PR_SVE_SET_VL", 50, -EINVAL),
    FAKES("PR_SVE_GET_VL", 51, -EINVAL),
    PLAIN("PR_GET_SPECULATION_CTRL", 52),
    PLAIN("PR_SET_SPECULATION_CTRL", 53),
    FAKES("PR_PAC_RESET_KEYS", 54, -EINVAL),
    FAKES("PR_SET_TAGGED_ADDR_CTRL", 55, -EINVAL),
    FAKES("PR_GET_TAGGED_ADDR_CTRL", 56, -EINVAL),
    PLAIN("PR_SET_IO_FLUSHER", 57),
    PLAIN("PR_GET_IO_FLUSHER", 58),
    // recorder/emulate/dispatch.c, but for PR_SYS_DISPATCH_INCLUSIVE_ON
    REFUSES("PR_SET_SYSCALL_USER_DISPATCH", 59, -EINVAL),
    FAKES("PR_PAC_SET_ENABLED_KEYS", 60, -EINVAL),
    FAKES("PR_PAC_GET_ENABLED_KEYS", 61, -EINVAL),
    REFUSES("PR_SCHED_CORE", 62, -EINVAL),
    FAKES("PR_SME_SET_VL", 63, -EINVAL),
    FAKES("PR_SME_GET_VL", 64, -EINVAL),
    // recorder/emulate/mdwe.c
    FAKES("PR_SET_MDWE", 65, -EINVAL),
    FAKES("PR_GET_MDWE", 66, 0),
    PLAIN("PR_SET_MEMORY_MERGE", 67),
    PLAIN("PR_GET_MEMORY_MERGE", 68),
    FAKES("PR_GET_SHADOW_STACK_STATUS", 74, -EINVAL),
    FAKES("PR_SET_SHADOW_STACK_STATUS", 75, -EINVAL),
    FAKES("PR_LOCK_SHADOW_STACK_STATUS", 76, -EINVAL),
    PLAIN("PR_TIMER_CREATE_RESTORE_IDS", 77),
    PLAIN("PR_FUTEX_HASH", 78),
    PLAIN("PR_SET_VMA", 0x53564d41),
    // its size is an argument: walk_request(). recorder/emulate/cpu_files.c
    PLAIN("PR_GET_AUXV", 0x41555856),
    PLAIN("PR_SET_PTRACER", 0x59616d61),
};

static const struct request arch_prctls[] = {
    PLAIN("ARCH_SET_GS", 0x1001),
    PLAIN("ARCH_SET_FS", 0x1002),
    WRITES("ARCH_GET_FS", 0x1003, 1, 8),
    WRITES("ARCH_GET_GS", 0x1004, 1, 8),
    // the recorder traps cpuid itself
    FAKES("ARCH_GET_CPUID", 0x1011, 1),
    FAKES("ARCH_SET_CPUID", 0x1012, -ENODEV),
    WRITES("ARCH_GET_XCOMP_SUPP", 0x1021, 1, 8),
    WRITES("ARCH_GET_XCOMP_PERM", 0x1022, 1, 8),
    REFUSES("ARCH_REQ_XCOMP_PERM", 0x1023, -EOPNOTSUPP),
    WRITES("ARCH_GET_XCOMP_GUEST_PERM", 0x1024, 1, 8),
    REFUSES("ARCH_REQ_XCOMP_GUEST_PERM", 0x1025, -EOPNOTSUPP),
    REFUSES("ARCH_MAP_VDSO_X32", 0x2001, -EINVAL),
    REFUSES("ARCH_MAP_VDSO_32", 0x2002, -EINVAL),
    REFUSES("ARCH_MAP_VDSO_64", 0x2003, -EINVAL),
    // glibc's first try at CET, never in a released kernel
    FAKES("ARCH_CET_STATUS", 0x3001, -EINVAL),
    WRITES("ARCH_GET_UNTAG_MASK", 0x4001, 1, 8),
    REFUSES("ARCH_ENABLE_TAGGED_ADDR", 0x4002, -ENODEV),
    WRITES("ARCH_GET_MAX_TAG_BITS", 0x4003, 1, 8),
    REFUSES("ARCH_FORCE_TAGGED_SVA", 0x4004, -ENODEV),
    FAKES("ARCH_SHSTK_ENABLE", 0x5001, -EOPNOTSUPP),
    FAKES("ARCH_SHSTK_DISABLE", 0x5002, -EOPNOTSUPP),
    FAKES("ARCH_SHSTK_LOCK", 0x5003, -EOPNOTSUPP),
    FAKES("ARCH_SHSTK_UNLOCK", 0x5004, -EOPNOTSUPP),
    FAKES("ARCH_SHSTK_STATUS", 0x5005, -EOPNOTSUPP),
};

static const struct request futexes[] = {
    {"FUTEX_WAIT", FUTEX_WAIT, NONE, LET, 0, 1, 0, 0},
    PLAIN("FUTEX_WAKE", FUTEX_WAKE),
    PLAIN("FUTEX_FD", FUTEX_FD),
    PLAIN("FUTEX_REQUEUE", FUTEX_REQUEUE),
    PLAIN("FUTEX_CMP_REQUEUE", FUTEX_CMP_REQUEUE),
    PLAIN("FUTEX_WAKE_OP", FUTEX_WAKE_OP),
    {"FUTEX_LOCK_PI", FUTEX_LOCK_PI, NONE, LET, 0, 1, 0, 0},
    PLAIN("FUTEX_UNLOCK_PI", FUTEX_UNLOCK_PI),
    PLAIN("FUTEX_TRYLOCK_PI", FUTEX_TRYLOCK_PI),
    {"FUTEX_WAIT_BITSET", FUTEX_WAIT_BITSET, NONE, LET, 0, 1, 0, 0},
    PLAIN("FUTEX_WAKE_BITSET", FUTEX_WAKE_BITSET),
    {"FUTEX_WAIT_REQUEUE_PI", FUTEX_WAIT_REQUEUE_PI, NONE, LET, 0, 1, 0, 0},
    PLAIN("FUTEX_CMP_REQUEUE_PI", FUTEX_CMP_REQUEUE_PI),
    {"FUTEX_LOCK_PI2", FUTEX_LOCK_PI2, NONE, LET, 0, 1, 0, 0},
};

// System V IPC: struct shmid64_ds 112 bytes, shminfo64 72, shm_info 48; msqid64_ds 120, msginfo 32;
// semid64_ds 104, seminfo 40.
static const struct request shmctls[] = {
    PLAIN("IPC_RMID", 0),           PLAIN("IPC_SET", 1),           WRITES("IPC_STAT", 2, 2, 112),
    WRITES("IPC_INFO", 3, 2, 72),   PLAIN("SHM_LOCK", 11),         PLAIN("SHM_UNLOCK", 12),
    WRITES("SHM_STAT", 13, 2, 112), WRITES("SHM_INFO", 14, 2, 48), WRITES("SHM_STAT_ANY", 15, 2, 112),
};

static const struct request msgctls[] = {
    PLAIN("IPC_RMID", 0),
    PLAIN("IPC_SET", 1),
    WRITES("IPC_STAT", 2, 2, 120),
    WRITES("IPC_INFO", 3, 2, 32),
    WRITES("MSG_STAT", 11, 2, 120),
    WRITES("MSG_INFO", 12, 2, 32),
    WRITES("MSG_STAT_ANY", 13, 2, 120),
};

static const struct request semctls[] = {
    PLAIN("IPC_RMID", 0),
    PLAIN("IPC_SET", 1),
    WRITES("IPC_STAT", 2, 3, 104),
    WRITES("IPC_INFO", 3, 3, 40),
    PLAIN("GETPID", 11),
    PLAIN("GETVAL", 12),
    // u16 for each semaphore of the set; how many these are only the kernel knows: all that there may be
    // (SEMMSL), unchanged bytes included
    {"GETALL", 13, INOUT, LET, 3, 0, 32000 * 2, 0},
    PLAIN("GETNCNT", 14),
    PLAIN("GETZCNT", 15),
    PLAIN("SETVAL", 16),
    PLAIN("SETALL", 17),
    WRITES("SEM_STAT", 18, 3, 104),
    WRITES("SEM_INFO", 19, 3, 40),
    WRITES("SEM_STAT_ANY", 20, 3, 104),
};

// The calls with a table, the argument that holds the request, and the answer to a request that no row
// describes.
static const struct multiplexed {
    long nr;
    int selector;
    int unknown;
    const struct request *table;
    size_t rows;
} multiplexed[] = {
    {__NR_ioctl, 1, -ENOTTY, ioctls, COUNT(ioctls)},
    {__NR_fcntl, 1, -EINVAL, fcntls, COUNT(fcntls)},
    {__NR_prctl, 0, -EINVAL, prctls, COUNT(prctls)},
    {__NR_arch_prctl, 0, -EINVAL, arch_prctls, COUNT(arch_prctls)},
    {__NR_futex, 1, -ENOSYS, futexes, COUNT(futexes)},
    {__NR_shmctl, 1, -EINVAL, shmctls, COUNT(shmctls)},
    {__NR_msgctl, 1, -EINVAL, msgctls, COUNT(msgctls)},
    {__NR_semctl, 2, -EINVAL, semctls, COUNT(semctls)},
};

static const struct multiplexed *multiplexed_call(long nr) {
    for (size_t i = 0; i < COUNT(multiplexed); i++)
        if (multiplexed[i].nr == nr) return &multiplexed[i];
    return NULL;
}

static const struct request *find(const struct multiplexed *m, uint64_t value) {
    uint32_t number = (uint32_t)value;
    if (m->nr == __NR_futex) number &= (uint32_t)FUTEX_CMD_MASK;
    for (size_t i = 0; i < m->rows; i++)
        if (m->table[i].number == number) return &m->table[i];
    return NULL;
}

void walk_request(struct walk *w) {
    const struct multiplexed *m = multiplexed_call(w->nr);
    const struct request *r = find(m, w->args[m->selector]);
    if (!r || r->action == REFUSED) {
        w->count = -1;
        return;
    }
    // PR_SET_MM_MAP_SIZE, the one that writes
    if (w->nr == __NR_prctl && r->number == 35 && w->args[1] == 15) {
        if (walk_ok(w)) walk_add(w, RANGE_OUT, 2, w->args[2], 4);
        return;
    }
    if (w->nr == __NR_prctl && r->number == 0x41555856) { // PR_GET_AUXV: the result is the size that there is
        enum { MOST = 1024 };                             // AT_VECTOR_SIZE of the kernel is some 60 words
        uint64_t all = !walk_ok(w) ? 0 : w->result ? (uint64_t)*w->result : MOST;
        walk_add(w, RANGE_OUT, 1, w->args[1], w->args[2] < all ? w->args[2] : all);
        return;
    }
    if (r->action != LET || r->dir == NONE || !walk_ok(w)) return;
    if (r->dir == INOUT)
        walk_add_readable(w, r->dir, r->arg, w->args[r->arg], r->size);
    else
        walk_add(w, r->dir, r->arg, w->args[r->arg], r->size);
}

// SIOCGIFCONF: struct ifconf { int length; pad; u64 buffer }: the length says the room, and what was filled
// afterwards.
static void interfaces(struct walk *w) {
    struct {
        int32_t length, pad;
        uint64_t buffer;
    } conf;
    if (walk_ok(w) && walk_read(w, w->args[2], &conf, sizeof conf) && conf.length > 0)
        walk_add_readable(w, RANGE_INOUT, -1, conf.buffer, (uint64_t)conf.length);
}

// struct fiemap, then the extents that there is room for. The head is written also when the file system refuses (ioctl_fiemap).
static void extents(struct walk *w) {
    struct fiemap map;
    if (!walk_read(w, w->args[2], &map, sizeof map)) return;
    uint64_t extents = walk_ok(w) ? map.fm_extent_count * (uint64_t)sizeof(struct fiemap_extent) : 0;
    walk_add_readable(w, RANGE_INOUT, 2, w->args[2], sizeof map + extents);
}

// struct file_dedupe_range, then what became of each range.
static void duplicates(struct walk *w) {
    struct file_dedupe_range range;
    if (walk_ok(w) && walk_read(w, w->args[2], &range, sizeof range))
        walk_add_readable(w, RANGE_INOUT, 2, w->args[2],
                          sizeof range + range.dest_count * sizeof(struct file_dedupe_range_info));
}

// SIOCETHTOOL: struct ifreq, whose pointer leads to a command's number and what that reads and writes.
static void ethtool(struct walk *w) {
    enum { DATA = 16, GLINKSETTINGS = 0x4c, WORDS = 15, MASKS = 48 };
    // struct ethtool_cmd, _drvinfo, _wolinfo, _value, _coalesce, _ringparam, _pauseparam, _ts_info; 0: of those that set
    static const struct {
        uint32_t number, size;
    } commands[] = {{0x01, 44}, {0x02, 0},  {0x03, 196}, {0x05, 20},
                    {0x06, 0},  {0x07, 8},  {0x08, 0},   {0x09, 0},
                    {0x0a, 8},  {0x0e, 92}, {0x10, 36},  {0x11, 0},
                    {0x12, 16}, {0x13, 0},  {0x14, 8},   {0x15, 0},
                    {0x16, 8},  {0x17, 0},  {0x18, 8},   {0x19, 0},
                    {0x1e, 8},  {0x1f, 0},  {0x21, 8},   {0x23, 8},
                    {0x24, 0},  {0x25, 8},  {0x26, 0},   {0x27, 8},
                    {0x2b, 8},  {0x2c, 0},  {0x41, 44},  {GLINKSETTINGS, MASKS}};
    uint64_t data;
    uint32_t number;
    int8_t words;
    if (!walk_read(w, w->args[2] + DATA, &data, sizeof data) || !walk_read(w, data, &number, sizeof number))
        return; // EFAULT
    size_t i = 0;
    while (i < COUNT(commands) && commands[i].number != number)
        i++;
    if (i == COUNT(commands)) {
        w->count = -1;
        return;
    }
    uint64_t size = commands[i].size;
    if (number == GLINKSETTINGS && walk_read(w, data + WORDS, &words, sizeof words) && words > 0)
        size += 3 * (uint64_t)words * sizeof(uint32_t);
    if (size && walk_ok(w)) walk_add_readable(w, RANGE_INOUT, -1, data, size);
}

void walk_ioctl(struct walk *w) {
    static const struct {
        uint32_t number;
        void (*walk)(struct walk *w);
    } lists[] = {
        {0x8912, interfaces}, {FS_IOC_FIEMAP, extents}, {FIDEDUPERANGE, duplicates}, {0x8946, ethtool}};
    walk_request(w);
    for (size_t i = 0; i < COUNT(lists); i++)
        if (lists[i].number == (uint32_t)w->args[1]) lists[i].walk(w);
}

const char *request_name(long nr, int index, uint64_t value) {
    const struct multiplexed *m = multiplexed_call(nr);
    const struct request *r = m && m->selector == index ? find(m, value) : NULL;
    return r ? r->name : NULL;
}

bool request_may_block(long nr, const uint64_t args[6]) {
    const struct multiplexed *m = multiplexed_call(nr);
    const struct request *r = m ? find(m, args[m->selector]) : NULL;
    return r && r->action == LET && r->block;
}

static bool give(int64_t *answer, bool *said, int64_t value, bool say) {
    *answer = value;
    *said = say;
    return true;
}

// The recorder answers seccomp itself (recorder/emulate/seccomp.c), but for a filter whose calls another process decides about.
static bool seccomp_answer(int64_t *answer, bool *said) {
    return give(answer, said, -EINVAL, true);
}

static bool multiplexed_answer(const struct multiplexed *m, const uint64_t args[6], int64_t *answer,
                               bool *said) {
    const struct request *r = find(m, args[m->selector]);
    if (!r) return give(answer, said, m->unknown, true);
    // Where the heap begins and ends: START_BRK, BRK, MAP
    if (m->nr == __NR_prctl && r->number == 35 && (args[1] == 6 || args[1] == 7 || args[1] == 14))
        return give(answer, said, -EPERM, true);
    if (r->action == LET) return false;
    if (m->nr == __NR_prctl && r->number == 4 && args[1] > 1) return give(answer, said, -EINVAL, false);
    if (m->nr == __NR_arch_prctl && r->number == 0x1012 && args[1]) return give(answer, said, 0, false);
    return give(answer, said, r->answer, r->action == REFUSED);
}

#define TCP_ZEROCOPY_RECEIVE_OPTION 35

bool request_answer(long nr, const uint64_t args[6], int64_t *answer, bool *said) {
    const struct multiplexed *m = multiplexed_call(nr);
    if (m) return multiplexed_answer(m, args, answer, said);
    switch (nr) {
    case __NR_seccomp:
        return seccomp_answer(answer, said);
    case __NR_fanotify_init: // the program would have to allow what the recorder opens
        if (args[0] & (FAN_CLASS_CONTENT | FAN_CLASS_PRE_CONTENT)) return give(answer, said, -EPERM, true);
        return false;
    case __NR_getsockopt: // maps packets into the program's memory
        if ((int32_t)args[1] == IPPROTO_TCP && (int32_t)args[2] == TCP_ZEROCOPY_RECEIVE_OPTION)
            return give(answer, said, -ENOPROTOOPT, true);
        return false;
    default:
        return false;
    }
}
