// Runs in the recorded process, on a stack of the annex: no libc, no globals, nothing but what core/calls/call_page.h says. It is
// compiled apart (see Makefile): only general registers, position-independent, all of it in the section call_code.
#ifndef COMPILED_APART
#error                                                                                                       \
    "the Makefile's flags APART are missing: with a red zone and vector registers this code would break the program that it runs in"
#endif

#include "core/calls/call_code.h"

#include "core/annex.h"
#include "core/calls/call_page.h"

#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>

enum { HEADER = 32, VECTOR_MAX = 8, READABLE = 1 /* POLLIN */, WRITABLE = 4 /* POLLOUT */ };
// MSG_PEEK, MSG_DONTWAIT; and MSG_NOSIGNAL, MSG_MORE; MSG_CMSG_CLOEXEC
enum { RECEIVE_FLAGS = 0x2 | 0x40 | 0x4000, SEND_FLAGS = 0x40 | 0x4000 | 0x8000, CLOEXEC_FLAG = 0x40000000 };

#define IN_SECTION __attribute__((section("call_code"), used))
#define OFFSET(n)  [n] "i"(offsetof(struct call_entry, n))

#define CONTROL ((volatile struct call_control *)CALL_CONTROL)
#define ROWS    ((const struct call_row *)CALL_ROWS)

int call_decide(struct call_entry *e, uint64_t nr) __attribute__((visibility("hidden")));

// Registers go into the entry at the ring's head at once; the flags by way of a stack pointer into it. `mov` and `lea` leave the
// flags alone until then. Behind `syscall` rcx is the next address and r11 the flags, whatever they were before.
// The flags that arithmetic sets come back by `add`, which overflows or not, and sahf: popfq and cld take 7 ns (only with other
// flags set: TF, DF, IOPL, NT, RF, AC, ID).
__attribute__((naked)) IN_SECTION static void call_entry_point(void) {
    __asm__ volatile("movabs %[control], %%r11\n"
                     "mov %%rsp, %c[control_rsp](%%r11)\n"
                     "mov %c[control_head](%%r11), %%rsp\n"
                     "mov %%rbx, %c[rbx](%%rsp)\n"
                     "mov %%rbp, %c[rbp](%%rsp)\n"
                     "mov %%rdi, %c[rdi](%%rsp)\n"
                     "mov %%rsi, %c[rsi](%%rsp)\n"
                     "mov %%rdx, %c[rdx](%%rsp)\n"
                     "mov %%r8, %c[r8](%%rsp)\n"
                     "mov %%r9, %c[r9](%%rsp)\n"
                     "mov %%r10, %c[r10](%%rsp)\n"
                     "mov %%r12, %c[r12](%%rsp)\n"
                     "mov %%r13, %c[r13](%%rsp)\n"
                     "mov %%r14, %c[r14](%%rsp)\n"
                     "mov %%r15, %c[r15](%%rsp)\n"
                     "mov %%rcx, %c[rip](%%rsp)\n"
                     "mov %c[control_rsp](%%r11), %%rcx\n"
                     "mov %%rcx, %c[rsp](%%rsp)\n"
                     "mov %%rsp, %%rbx\n"
                     "lea %c[rflags]+8(%%rbx), %%rsp\n"
                     "pushfq\n"
                     "testb $4, %c[rflags]+1(%%rbx)\n" // the direction flag
                     "jz 3f\n"
                     "cld\n"
                     "3:\n"
                     "movabs %[stack], %%rsp\n"
                     "mov %%rbx, %%rdi\n"
                     "mov %%rax, %%rsi\n"
                     "mov %%rax, %%r12\n"
                     "call call_decide\n"
                     "mov %c[rip](%%rbx), %%rcx\n"
                     "test %%eax, %%eax\n"
                     "mov %c[result](%%rbx), %%rax\n"
                     "jnz 1f\n"
                     "mov %%r12, %%rax\n"
                     "lea -2(%%rcx), %%rcx\n"
                     "1:\n"
                     "mov %c[rdi](%%rbx), %%rdi\n"
                     "mov %c[rsi](%%rbx), %%rsi\n"
                     "mov %c[rdx](%%rbx), %%rdx\n"
                     "mov %c[r8](%%rbx), %%r8\n"
                     "mov %c[r9](%%rbx), %%r9\n"
                     "mov %c[r10](%%rbx), %%r10\n"
                     "mov %c[r12](%%rbx), %%r12\n"
                     "mov %c[rflags](%%rbx), %%r11\n"
                     "testl $0x3ff528, %%r11d\n"
                     "jnz 2f\n"
                     "mov %%rax, %%rsp\n"
                     "mov %%r11d, %%eax\n"
                     "xchg %%al, %%ah\n"
                     "and $8, %%al\n"
                     "add $0x78, %%al\n"
                     "sahf\n"
                     "mov %%rsp, %%rax\n"
                     "4:\n"
                     "mov %c[rsp](%%rbx), %%rsp\n"
                     "mov %c[rbx](%%rbx), %%rbx\n"
                     "jmp *%%rcx\n"
                     "2:\n"
                     "lea %c[rflags](%%rbx), %%rsp\n"
                     "popfq\n"
                     "jmp 4b\n" ::[control] "i"(CALL_CONTROL),
                     [stack] "i"(CALL_STACK_TOP), [control_rsp] "i"(offsetof(struct call_control, rsp)),
                     [control_head] "i"(offsetof(struct call_control, head)), OFFSET(rbx), OFFSET(rbp),
                     OFFSET(rdi), OFFSET(rsi), OFFSET(rdx), OFFSET(r8), OFFSET(r9), OFFSET(r10), OFFSET(r12),
                     OFFSET(r13), OFFSET(r14), OFFSET(r15), OFFSET(rip), OFFSET(rsp), OFFSET(rflags),
                     OFFSET(result));
}

#define INLINE static inline __attribute__((always_inline))

INLINE int64_t make(uint64_t nr, uint64_t a, uint64_t b, uint64_t c, const uint64_t rest[3]) {
    register uint64_t r10 __asm__("r10") = rest[0], r8 __asm__("r8") = rest[1], r9 __asm__("r9") = rest[2];
    uint64_t place = CALL_SYSCALL;
    int64_t result;
    __asm__ volatile("call *%%rcx"
                     : "=a"(result), "+c"(place)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "r11", "memory", "cc");
    return result;
}

// Returns how many bytes could not be copied.
INLINE uint64_t copy(uint64_t to, uint64_t from, uint64_t length) {
    uint64_t left = length, place = CALL_COPY;
    __asm__ volatile("call *%%rax" : "+D"(to), "+S"(from), "+c"(left), "+a"(place) : : "memory", "cc");
    return left;
}

INLINE bool ready(uint64_t fd, int events) {
    struct {
        int fd;
        short events, revents;
    } p = {(int)fd, (short)events, 0};
    const uint64_t none[3] = {0, 0, 0};
    // Nothing else may be said: of a broken pipe a write sends a signal.
    return make(SYS_poll, (uint64_t)&p, 1, 0, none) == 1 && p.revents == events;
}

INLINE bool quick(uint64_t fd) {
    return fd < CALL_QUICK && CONTROL->quick[fd / 64] >> fd % 64 & 1;
}

INLINE void not_quick(uint64_t fd) {
    CONTROL->quick[fd / 64] &= ~(1ull << fd % 64);
}

INLINE bool write_shows(const struct call_entry *e) {
    volatile const struct call_seen *seen = &CONTROL->seen;
    uint64_t st[18], count = seen->count; // struct stat, of which st_dev and st_ino come first
    const uint64_t none[3] = {0, 0, 0};
    if (!count) return false;
    if (count > CALL_SEEN_FILES || make(SYS_fstat, e->rdi, (uint64_t)st, 0, none) < 0) return true;
    for (uint64_t i = 0; i < count; i++)
        if (seen->files[i].dev == st[0] && seen->files[i].ino == st[1]) return true;
    return false;
}

INLINE bool seekable(uint64_t fd) {
    const uint64_t none[3] = {0, 0, 0};
    return make(SYS_lseek, fd, 0, 1 /* SEEK_CUR */, none) >= 0;
}

INLINE uint64_t argument(const struct call_entry *e, unsigned i) {
    switch (i) {
    case 0:
        return e->rdi;
    case 1:
        return e->rsi;
    case 2:
        return e->rdx;
    case 3:
        return e->r10;
    case 4:
        return e->r8;
    default:
        return e->r9;
    }
}

// Of that many events: the others are as if they came a moment later. (redis asks for 10,128, whose bytes the ring cannot have.)
INLINE uint64_t some(uint64_t events) {
    return (int32_t)events > CALL_SOME ? CALL_SOME : events;
}

// The kernel looks whether all that were asked for can be had.
INLINE bool bad_events(const struct call_entry *e) {
    int32_t events = (int32_t)e->rdx;
    return events > 1 << 16 || (events > CALL_SOME && (e->rsi + (uint64_t)events * 12) >> 47);
}

// Bytes of the range: at most (result NULL), or in fact. As size_of and plain of core/calls/syscall_ranges.c say it.
INLINE uint64_t range_size(const struct call_entry *e, const struct call_range *g, const int64_t *result) {
    if (g->size == CALL_SIZE_FIXED) return g->scale;
    uint64_t limit = argument(e, g->limit);
    if (g->limit_kind != CALL_LIMIT_LONG) limit = (int32_t)limit < 0 ? 0 : (uint64_t)(int32_t)limit;
    if (g->limit_kind == CALL_LIMIT_SOME) limit = some(limit);
    uint64_t most = limit > CALL_BYTES_MAX ? ~0ull : limit * g->scale;
    if (g->size != CALL_SIZE_RESULT || !result) return most;
    uint64_t written = *result < 0 ? 0 : (uint64_t)*result * g->scale;
    return written < most ? written : most;
}

INLINE uint64_t up(uint64_t size) {
    return (size + 7) & ~7ull;
}

// A few words, which are there: the kernel has just written them, or wrote them in the recording. (rep movsb takes 10 ns to begin.)
enum { WORDS = 4 };
INLINE bool copy_words(uint64_t to, uint64_t from, uint64_t length) {
    if (length > 8 * WORDS || length % 8) return false;
    for (uint64_t i = 0; i < length; i += 8)
        *(volatile uint64_t *)(to + i) = *(volatile uint64_t *)(from + i);
    return true;
}

INLINE void append(struct call_entry *e, uint64_t address, uint64_t length, bool there) {
    uint64_t at = (uint64_t)e + e->size;
    struct call_bytes *b = (struct call_bytes *)at;
    b->address = address;
    b->length = (uint32_t)length;
    b->missing = there && copy_words(at + sizeof *b, address, length)
                     ? 0
                     : (uint32_t)copy(at + sizeof *b, address, length);
    e->size += (uint32_t)(sizeof *b + up(length));
    e->ranges++;
}

INLINE bool replay(struct call_entry *e, uint64_t nr) {
    const struct call_fed *f = (const struct call_fed *)CONTROL->feed;
    if (f->nr != nr || f->rip != e->rip) return false;
    uint64_t at = (uint64_t)(f + 1);
    for (unsigned i = 0; i < f->outs; i++) {
        const struct call_bytes *b = (const struct call_bytes *)at;
        if (!copy_words(b->address, at + sizeof *b, b->length)) copy(b->address, at + sizeof *b, b->length);
        at += sizeof *b + up(b->length);
    }
    for (unsigned i = 0; i < f->ins; i++, at += sizeof(struct call_bytes)) {
        const struct call_bytes *b = (const struct call_bytes *)at;
        append(e, b->address, b->length, false);
    }
    e->result = f->result;
    CONTROL->feed += f->size;
    return true;
}

// Waiting for a word that has another value already ends at once.
INLINE bool futex_returns(const struct call_entry *e) {
    uint32_t op = (uint32_t)e->rsi & (uint32_t)FUTEX_CMD_MASK, word;
    if (op == FUTEX_WAKE || op == FUTEX_WAKE_BITSET) return true;
    if (op != FUTEX_WAIT && op != FUTEX_WAIT_BITSET) return false;
    return !copy((uint64_t)&word, e->rdi, sizeof word) && word != (uint32_t)e->rdx;
}

struct vector {
    uint64_t base, length;
};

// What readv, writev, recvmsg and sendmsg are given.
struct vectors {
    uint64_t at, count; // of the iovec
    uint64_t sum;
    struct vector v[VECTOR_MAX];
};

// Reads the iovec. False: too many entries or bytes, or it cannot be read.
INLINE bool read_vectors(struct vectors *a) {
    if (a->count > VECTOR_MAX || copy((uint64_t)a->v, a->at, a->count * sizeof *a->v)) return false;
    a->sum = 0;
    for (uint64_t i = 0; i < a->count; i++) {
        if (a->v[i].length > CALL_BYTES_MAX) return false;
        a->sum += a->v[i].length;
    }
    return a->sum <= CALL_BYTES_MAX;
}

struct message { // struct user_msghdr
    uint64_t name;
    uint32_t name_length, pad;
    uint64_t iov, iov_length, control, control_length;
    uint32_t flags, pad2;
};

INLINE bool read_message(const struct call_entry *e, bool sends, struct vectors *a) {
    struct message m;
    uint32_t known = sends ? SEND_FLAGS : RECEIVE_FLAGS | CLOEXEC_FLAG;
    if ((uint32_t)e->rdx & ~known || copy((uint64_t)&m, e->rsi, sizeof m)) return false;
    if (m.name || m.control || m.control_length) return false;
    a->at = m.iov;
    a->count = m.iov_length;
    return true;
}

INLINE void append_vectors(struct call_entry *e, const struct vectors *a, uint64_t left) {
    append(e, a->at, a->count * sizeof *a->v, false); // where the bytes are
    for (uint64_t i = 0; i < a->count && left; i++) {
        uint64_t length = a->v[i].length < left ? a->v[i].length : left;
        if (length) append(e, a->v[i].base, length, false);
        left -= length;
    }
}

INLINE bool record_vectors(struct call_entry *e, uint64_t nr, const struct call_row *row) {
    struct vectors a = {e->rsi, e->rdx, 0, {{0, 0}}};
    bool message = row->kind == CALL_RECEIVES_MESSAGE || row->kind == CALL_SENDS_MESSAGE;
    bool writes = row->flags & CALL_ROW_WRITES;
    if ((message && !read_message(e, writes, &a)) || !read_vectors(&a)) return false;
    uint64_t most = sizeof *e + (VECTOR_MAX + 2) * (sizeof(struct call_bytes) + 8) + sizeof(struct message) +
                    sizeof a.v + a.sum;
    if (most > CALL_RING + CALL_RING_SIZE - (uint64_t)e) return false;
    bool large = writes && a.sum > 4096; // a pipe or socket may have room for a part only
    bool asks = writes || !quick(e->rdi);
    if (asks && (large ? message || !seekable(e->rdi) : !ready(e->rdi, writes ? WRITABLE : READABLE)))
        return false;
    const uint64_t rest[3] = {e->r10, e->r8, e->r9};
    int64_t result = make(nr, e->rdi, e->rsi, e->rdx, rest);
    if (result == CALL_INTERRUPTED || result == -14 /* EFAULT */) return false;
    e->result = result;
    if (result < 0 || (!result && !message)) return true;
    if (message) append(e, e->rsi, sizeof(struct message), false);
    append_vectors(e, &a, (uint64_t)result);
    return true;
}

// Signals that are blocked and wait: changing the mask might let one come, which is to be at once.
INLINE bool signals_wait(void) {
    uint64_t pending = 0;
    const uint64_t none[3] = {0, 0, 0};
    return make(SYS_rt_sigpending, (uint64_t)&pending, sizeof pending, 0, none) || pending;
}

INLINE bool never_sleeps(const struct call_entry *e, const struct call_row *row) {
    switch (row->kind) {
    case CALL_PLAIN:
        return true;
    case CALL_RECEIVES:
        if (e->r8 || (uint32_t)e->r10 & ~(uint32_t)RECEIVE_FLAGS) return false;
        return quick(e->rdi) || ready(e->rdi, READABLE);
    case CALL_READS:
        return quick(e->rdi) || ready(e->rdi, READABLE);
    case CALL_SENDS:
        if ((uint32_t)e->r10 & ~(uint32_t)SEND_FLAGS || e->rdx > 4096) return false;
        return ready(e->rdi, WRITABLE);
    case CALL_WRITES: // a pipe or socket may have room for a part only; what can be sought in has no such limit
        return e->rdx <= 4096 ? ready(e->rdi, WRITABLE) : seekable(e->rdi);
    case CALL_FUTEX:
        return futex_returns(e);
    case CALL_MASK:
        return !e->rsi || (uint32_t)e->rdi == 0 /* SIG_BLOCK */ || !signals_wait();
    case CALL_FCNTL:
        return e->rsi == 1 || e->rsi == 3 || e->rsi == 6; // F_GETFD, F_GETFL, F_SETLK
    default:
        return false;
    }
}

// write() to a stream that is a socket is a send without flags. Without room it is made at a stop, and where the other side is gone: there it
// gets its signal.
INLINE bool write_quickly(const struct call_entry *e, int64_t *result) {
    enum {
        NO_PIPE = -32,
        NO_ROOM = -11,
        NO_SOCKET = -88,
        FLAGS = 0x4000 | 0x40 /* MSG_NOSIGNAL, MSG_DONTWAIT */
    };
    const uint64_t rest[3] = {FLAGS, 0, 0};
    *result = make(SYS_sendto, e->rdi, e->rsi, e->rdx, rest);
    if (*result == NO_SOCKET) not_quick(e->rdi);
    return *result != NO_PIPE && *result != NO_ROOM && *result != NO_SOCKET;
}

INLINE bool record(struct call_entry *e, uint64_t nr) {
    const struct call_row *row = &ROWS[nr];
    if (row->flags & CALL_ROW_WRITES && write_shows(e)) return false;
    if (row->kind >= CALL_READS_VECTOR && row->kind <= CALL_SENDS_MESSAGE) return record_vectors(e, nr, row);
    uint64_t need = sizeof *e;
    for (int i = 0; i < CALL_RANGES && row->range[i].arg; i++) {
        uint64_t size = range_size(e, &row->range[i], NULL);
        if (size > CALL_BYTES_MAX) return false;
        need += sizeof(struct call_bytes) + up(size);
    }
    if (need > CALL_RING + CALL_RING_SIZE - (uint64_t)e) return false;
    const uint64_t rest[3] = {e->r10, e->r8, e->r9};
    int64_t result;
    if (row->kind == CALL_WAITS) {
        // With the time 0: a poll or epoll_wait that finds nothing has done nothing.
        uint64_t third =
            row->time == 2 ? 0 : some(e->rdx); // poll: its time; else for how many events there is room
        if (row->time == 3 && bad_events(e)) return false;
        const uint64_t others[3] = {row->time == 3 ? 0 : e->r10, e->r8, e->r9};
        uint64_t time = argument(e, row->time);
        if (nr == SYS_epoll_pwait && e->r8) return false;
        result = make(nr, e->rdi, e->rsi, third, others);
        if (result == 0 && (uint32_t)time) return false;
    } else if (row->kind == CALL_WRITES && quick(e->rdi)) {
        if (!write_quickly(e, &result)) return false;
    } else {
        if (!never_sleeps(e, row)) return false;
        result = make(nr, e->rdi, e->rsi, e->rdx, rest);
        // At the next stop it may be another one: the kernel unblocks a signal that it sends by force, as it does SIGTRAP.
        if (row->kind == CALL_MASK) {
            const uint64_t mask_size[3] = {sizeof e->mask, 0, 0};
            make(nr, 0 /* SIG_BLOCK */, 0, (uint64_t)&e->mask, mask_size);
        }
    }
    // Bad memory: what was written up to there is found at a stop. It has done nothing else, and fails so again.
    if (result == CALL_INTERRUPTED && quick(e->rdi)) not_quick(e->rdi);
    if (result == CALL_INTERRUPTED || result == -14 /* EFAULT */) return false;
    e->result = result;
    if (result >= 0 || result < -4095)
        for (int i = 0; i < CALL_RANGES && row->range[i].arg; i++) {
            uint64_t address = argument(e, row->range[i].arg - 1u),
                     size = range_size(e, &row->range[i], &result);
            if (address && size)
                append(e, address, size, row->kind == CALL_PLAIN && !(row->flags & CALL_ROW_WRITES));
        }
    return true;
}

// What may wake somebody is made at a stop, behind which the schedule can give that one the CPU. Files wake nobody.
INLINE bool wakes_nobody(const struct call_entry *e, const struct call_row *row) {
    uint32_t op = (uint32_t)e->rsi & (uint32_t)FUTEX_CMD_MASK;
    switch (row->kind) {
    case CALL_READS:
    case CALL_WRITES:
    case CALL_READS_VECTOR:
    case CALL_WRITES_VECTOR:
        return seekable(e->rdi);
    case CALL_RECEIVES:
    case CALL_SENDS:
    case CALL_RECEIVES_MESSAGE:
    case CALL_SENDS_MESSAGE:
        return false;
    case CALL_FUTEX:
        return op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET;
    case CALL_FCNTL:
        return e->rsi != 6; // F_SETLK
    default:
        return !(row->flags & CALL_ROW_WAKES);
    }
}

#define COUNT ((const volatile uint64_t *)ANNEX_COUNT)
#define LIMIT ((volatile uint64_t *)ANNEX_LIMIT)

// The step at which the schedule has something to do is made at a stop, or by the PLT clock.
INLINE bool steps_left(uint64_t steps) {
    return *LIMIT > *COUNT + steps;
}

// (Where the recorder has set another limit meanwhile, that one stands.)
INLINE void take_steps(uint64_t steps) {
    uint64_t limit = *LIMIT;
    if (limit == ~0ull || limit <= steps) return;
    __asm__ volatile("cmpxchg %2, %1" : "+a"(limit), "+m"(*LIMIT) : "r"(limit - steps) : "cc");
}

IN_SECTION __attribute__((noinline)) int call_decide(struct call_entry *e, uint64_t nr) {
    if (!CONTROL->left || nr >= CALL_ROW_COUNT || ROWS[nr].kind == CALL_DECLINED) return 0;
    if (CONTROL->quiet && (!wakes_nobody(e, &ROWS[nr]) || !steps_left(CONTROL->steps))) return 0;
    e->size = sizeof *e;
    e->ranges = 0;
    e->nr = (uint16_t)nr;
    if (!(CONTROL->feed ? replay(e, nr) : record(e, nr))) return 0;
    CONTROL->left--;
    if (CONTROL->steps) take_steps(CONTROL->steps);
    CONTROL->head = (uint64_t)e + e->size;
    // The end of the list. The replayer has all registers in the entries, and goes on behind the `syscall`.
    if (CONTROL->feed && !CONTROL->left) __asm__ volatile("int3");
    return 1;
}

extern const uint8_t section_start[] __asm__("__start_call_code"), section_end[] __asm__("__stop_call_code");

bool call_code_image(uint8_t image[CALL_CODE_SIZE]) {
    size_t size = (size_t)(section_end - section_start);
    if (size > CALL_CODE_SIZE - HEADER - 32) return false;
    for (size_t i = 0; i < CALL_CODE_SIZE; i++)
        image[i] = 0xcc;
    const uint8_t head[] = {0x0f, 0x05, 0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xf3, 0xa4, 0xc3};
    for (size_t i = 0; i < sizeof head; i++)
        image[i] = head[i];
    int32_t distance =
        (int32_t)(HEADER + (size_t)((const uint8_t *)call_entry_point - section_start) - (16 + 5));
    image[16] = 0xe9;
    for (int i = 0; i < 4; i++)
        image[17 + i] = (uint8_t)((uint32_t)distance >> (8 * i));
    for (size_t i = 0; i < size; i++)
        image[HEADER + i] = section_start[i];
    return true;
}
