#include "core/trace/trace_codec.h"

#include "core/array.h"
#include "core/error.h"
#include "core/trace/trace_format.h"

#include <stdlib.h>
#include <string.h>

#define REG_COUNT 27
static_assert(sizeof(struct user_regs_struct) == REG_COUNT * sizeof(uint64_t), "27 registers of 8 bytes");
static_assert(EV_KINDS <= 256 && PIECE_KINDS <= PIECE_DELTA, "a kind has its own bits");

// What follows the kind byte: which fields of the event differ from the prediction.
enum {
    HAS_TID = 1,   // zigzag difference to the event before
    HAS_FLAGS = 2, // a byte; predicted: those of the task's last event of this kind, like nr, ret and aux
    HAS_NR = 4,    // zigzag
    HAS_RET = 8,   // zigzag difference
    HAS_AUX = 16,  // zigzag difference
    HAS_REGS =
        32, // bit mask of the registers that differ from the task's last ones, zigzag difference of each
    HAS_PIECES = 64, // number of pieces, pieces
    HAS_TIME = 128,  // zigzag difference to the event before
};

struct task_state {
    int32_t tid;
    uint8_t flags[EV_KINDS];
    int32_t nr[EV_KINDS];
    int64_t ret[EV_KINDS];
    uint64_t aux[EV_KINDS];
    uint64_t regs[REG_COUNT];
    uint64_t v[PIECE_KINDS][PIECE_VALUES];
};

#define SLOTS (2 * CHUNK_MAX_TASKS)

struct codec {
    struct task_state *tasks;
    uint32_t count;
    uint32_t last;         // index of the task of the event before
    uint16_t slots[SLOTS]; // open addressing by tid: index + 1, 0 free
    uint64_t time;
    int32_t tid;
    struct piece *pieces; // of the event decoded last
    size_t piece_capacity;
    struct user_regs_struct regs[EVENT_MAX_REGS];
};

struct codec *codec_new(void) {
    return calloc(1, sizeof(struct codec));
}

void codec_free(struct codec *c) {
    if (!c) return;
    free(c->tasks);
    free(c->pieces);
    free(c);
}

void codec_reset(struct codec *c) {
    if (c->count > 0) memset(c->slots, 0, sizeof c->slots);
    c->count = 0;
    c->last = 0;
    c->time = 0;
    c->tid = 0;
}

bool codec_full(const struct codec *c) {
    return c->count >= CHUNK_MAX_TASKS;
}

static struct task_state *other_task(struct codec *c, int32_t tid) {
    uint32_t slot = (uint32_t)tid * 2654435761u % SLOTS;
    for (; c->slots[slot] != 0; slot = (slot + 1) % SLOTS) {
        uint32_t index = c->slots[slot] - 1u;
        if (c->tasks[index].tid != tid) continue;
        c->last = index;
        return &c->tasks[index];
    }
    if (codec_full(c)) return NULL;
    struct task_state *task = array_try_add(c->tasks, c->count);
    if (!task) return NULL;
    c->last = c->count - 1;
    c->slots[slot] = (uint16_t)c->count;
    task->tid = tid;
    return task;
}

// The state of `tid`, zeroed when it is new; NULL: full or out of memory.
static inline struct task_state *find_task(struct codec *c, int32_t tid) {
    return c->count > 0 && c->tasks[c->last].tid == tid ? &c->tasks[c->last] : other_task(c, tid);
}

// ---- encoding ----
static inline uint64_t zigzag(uint64_t difference) {
    return difference << 1 ^ (uint64_t)((int64_t)difference >> 63);
}

static inline uint64_t unzigzag(uint64_t code) {
    return code >> 1 ^ -(code & 1);
}

#define VARINT_MAX 10

static uint8_t *put_long_varint(uint8_t *out, uint64_t value) {
    while (value >= 0x80) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

// Up to 56 bits without a loop: the groups of seven are spread by halves, and all eight bytes stored, of which those behind the
// number are overwritten by what follows. (Pointers differ by 48 bits: registers were a third of a small call's recording.)
static inline uint8_t *put_varint(uint8_t *out, uint64_t value) {
    if (value < 0x80) {
        *out = (uint8_t)value;
        return out + 1;
    }
    if (value >> 56) return put_long_varint(out, value);
    unsigned bytes = (unsigned)(70 - __builtin_clzll(value)) / 7;
    uint64_t x = value;
    x = (x & 0xfffffffull) | (x & 0xfffffff0000000ull) << 4;
    x = (x & 0x3fff00003fffull) | (x & 0xfffc0000fffc000ull) << 2;
    x = (x & 0x7f007f007f007full) | (x & 0x3f803f803f803f80ull) << 1;
    x |= 0x8080808080808080ull >> (8 * (9 - bytes));
    memcpy(out, &x, sizeof x);
    return out + bytes;
}

// Not in steps of 16 bytes: the registers have just been written one by one, and such a load waits for that.
static inline bool same_four(const uint64_t *a, const uint64_t *b) {
    return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

// Which registers differ. From call to call it is few of them: four are compared at a time first.
static inline uint32_t changed_regs(const uint64_t a[REG_COUNT], const uint64_t b[REG_COUNT]) {
    uint32_t mask = 0;
#pragma GCC unroll 7
    for (int i = 0; i < REG_COUNT; i += 4) {
        const int end = i + 4 < REG_COUNT ? i + 4 : REG_COUNT;
        if (end == i + 4 && same_four(a + i, b + i)) continue;
        for (int k = i; k < end; k++)
            mask |= (uint32_t)(a[k] != b[k]) << k;
    }
    return mask;
}

static uint8_t *put_regs(uint8_t *out, uint64_t previous[REG_COUNT], const uint64_t now[REG_COUNT],
                         uint32_t mask) {
    out = put_varint(out, mask);
    for (; mask != 0; mask &= mask - 1) {
        int i = __builtin_ctz(mask);
        out = put_varint(out, zigzag(now[i] - previous[i]));
        previous[i] = now[i];
    }
    return out;
}

// kind, mask of values, values, length
#define PIECE_FIXED (1 + 1 + PIECE_VALUES * VARINT_MAX + VARINT_MAX)
// kind, mask, presence of registers, registers, tid, flags, nr, ret, aux, number of pieces, time
#define REGS_MAX    (VARINT_MAX + REG_COUNT * VARINT_MAX)
#define EVENT_FIXED (2 + 7 * VARINT_MAX + REGS_MAX)

size_t codec_bound(const struct event *e) {
    if (e->piece_count > EVENT_MAX_PIECES) return SIZE_MAX;
    size_t bound = EVENT_FIXED + EVENT_MAX_REGS * REGS_MAX + e->piece_count * PIECE_FIXED;
    for (size_t i = 0; i < e->piece_count; i++)
        if (__builtin_add_overflow(bound, e->pieces[i].len, &bound)) return SIZE_MAX;
    return bound;
}

static uint8_t *put_piece(uint8_t *out, struct task_state *task, const struct piece *p,
                          unsigned *delta_regs) {
    rf_assert(p->kind > PIECE_NONE && p->kind < PIECE_KINDS);
    bool delta =
        p->kind == PIECE_REGS && p->len == sizeof(struct user_regs_struct) && *delta_regs < EVENT_MAX_REGS;
    *out++ = (uint8_t)(p->kind | (delta ? PIECE_DELTA : 0));
    uint64_t *previous = task->v[p->kind];
    uint8_t *mask = out++;
    *mask = 0;
    for (int i = 0; i < PIECE_VALUES; i++) {
        if (p->v[i] == previous[i]) continue;
        *mask |= (uint8_t)(1u << i);
        out = put_varint(out, zigzag(p->v[i] - previous[i]));
        previous[i] = p->v[i];
    }
    if (delta) {
        uint64_t regs[REG_COUNT];
        memcpy(regs, p->data, sizeof regs);
        ++*delta_regs;
        return put_regs(out, task->regs, regs, changed_regs(regs, task->regs));
    }
    out = put_varint(out, p->len);
    if (p->len > 0) memcpy(out, p->data, p->len);
    return out + p->len;
}

uint8_t *codec_encode(struct codec *c, const struct event *e, uint8_t *out) {
    rf_assert(e->kind > EV_NONE && e->kind < EV_KINDS);
    struct task_state *task = find_task(c, e->tid);
    if (!task) return NULL;
    const int kind = e->kind;
    uint8_t has = 0;
    *out++ = e->kind;
    uint8_t *has_at = out++;
    if (e->time_us != c->time) {
        has |= HAS_TIME;
        out = put_varint(out, zigzag(e->time_us - c->time));
        c->time = e->time_us;
    }
    if (e->tid != c->tid) {
        has |= HAS_TID;
        out = put_varint(out, zigzag((uint64_t)((int64_t)e->tid - c->tid)));
        c->tid = e->tid;
    }
    if (e->flags != task->flags[kind]) {
        has |= HAS_FLAGS;
        *out++ = task->flags[kind] = e->flags;
    }
    if (e->nr != task->nr[kind]) {
        has |= HAS_NR;
        out = put_varint(out, zigzag((uint64_t)(int64_t)e->nr));
        task->nr[kind] = e->nr;
    }
    if (e->ret != task->ret[kind]) {
        has |= HAS_RET;
        out = put_varint(out, zigzag((uint64_t)e->ret - (uint64_t)task->ret[kind]));
        task->ret[kind] = e->ret;
    }
    if (e->aux != task->aux[kind]) {
        has |= HAS_AUX;
        out = put_varint(out, zigzag(e->aux - task->aux[kind]));
        task->aux[kind] = e->aux;
    }
    const uint64_t *regs = (const void *)&e->regs;
    uint32_t mask = e->flags & EVF_REGS ? changed_regs(regs, task->regs) : 0;
    if (mask) {
        has |= HAS_REGS;
        out = put_regs(out, task->regs, regs, mask);
    }
    if (e->piece_count > 0) {
        has |= HAS_PIECES;
        out = put_varint(out, e->piece_count);
        unsigned delta_regs = 0;
        for (size_t i = 0; i < e->piece_count; i++)
            out = put_piece(out, task, &e->pieces[i], &delta_regs);
    }
    *has_at = has;
    return out;
}

// ---- decoding
// A position in hostile bytes; `why` is set at the first failure and everything read after it is 0.
struct input {
    const uint8_t *at, *end;
    const char *why;
};

static uint64_t fail(struct input *in, const char *why) {
    if (!in->why) in->why = why;
    in->at = in->end;
    return 0;
}

static inline uint8_t get_byte(struct input *in) {
    return in->at < in->end ? *in->at++ : (uint8_t)fail(in, "the event goes past the end of its chunk");
}

static inline uint64_t get_varint(struct input *in) {
    if (in->at < in->end && *in->at < 0x80) return *in->at++;
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        uint8_t byte = get_byte(in);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (shift == 63 && byte > 1) break;
        if (byte < 0x80) return value;
    }
    return fail(in, "a number has more than 64 bits");
}

static int32_t get_int32(struct input *in, int64_t base) {
    int64_t value;
    if (__builtin_add_overflow(base, (int64_t)unzigzag(get_varint(in)), &value) || value < INT32_MIN ||
        value > INT32_MAX)
        return (int32_t)fail(in, "a number has more than 32 bits");
    return (int32_t)value;
}

// `copy` is the same as `regs` before and behind it. (Copied as a whole behind it, in steps of 16 bytes, the copy waits
// for each register that was just written: 15 ns, half of the decoding of a small call.)
static void get_regs(struct input *in, uint64_t regs[REG_COUNT], uint64_t copy[REG_COUNT]) {
    uint64_t mask = get_varint(in);
    if (mask >> REG_COUNT) {
        fail(in, "there are only 27 registers");
        return;
    }
    for (; mask != 0; mask &= mask - 1) {
        int i = __builtin_ctzll(mask);
        copy[i] = regs[i] += unzigzag(get_varint(in));
    }
}

static void get_piece(struct input *in, struct codec *c, struct task_state *task, struct piece *p,
                      unsigned *delta_regs) {
    uint8_t kind = get_byte(in);
    bool delta = kind & PIECE_DELTA;
    kind &= PIECE_DELTA - 1;
    if (kind == PIECE_NONE || kind >= PIECE_KINDS) {
        fail(in, "there is no such kind of piece");
        return;
    }
    p->kind = kind;
    uint8_t mask = get_byte(in);
    if (mask >> PIECE_VALUES) fail(in, "a piece has only six values");
    uint64_t *values = task->v[kind];
    for (int i = 0; i < PIECE_VALUES; i++)
        if (mask >> i & 1) values[i] += unzigzag(get_varint(in));
    memcpy(p->v, values, sizeof p->v);
    if (delta) {
        if (kind != PIECE_REGS || *delta_regs == EVENT_MAX_REGS) {
            fail(in, "delta-coded registers in a wrong place");
            return;
        }
        struct user_regs_struct *regs = &c->regs[(*delta_regs)++];
        memcpy(regs, task->regs, sizeof *regs);
        get_regs(in, task->regs, (void *)regs);
        p->data = regs;
        p->len = sizeof *regs;
        return;
    }
    uint64_t len = get_varint(in);
    if (len > (size_t)(in->end - in->at)) {
        fail(in, "a piece is longer than what is left of its chunk");
        return;
    }
    p->data = len > 0 ? in->at : NULL;
    p->len = len;
    in->at += len;
}

static void get_pieces(struct input *in, struct codec *c, struct task_state *task, struct event *e) {
    uint64_t count = get_varint(in);
    // A piece has at least three bytes: kind, mask, length.
    if (count == 0 || count > EVENT_MAX_PIECES || count > (size_t)(in->end - in->at) / 3) {
        fail(in, "the number of pieces is wrong");
        return;
    }
    if (count > c->piece_capacity) {
        size_t capacity = count < 32 ? 32 : count;
        struct piece *pieces = realloc(c->pieces, capacity * sizeof *pieces);
        if (!pieces) {
            fail(in, "out of memory");
            return;
        }
        c->pieces = pieces;
        c->piece_capacity = capacity;
    }
    memset(c->pieces, 0, count * sizeof *c->pieces);
    e->pieces = c->pieces;
    unsigned delta_regs = 0;
    for (; e->piece_count < count && !in->why; e->piece_count++)
        get_piece(in, c, task, &c->pieces[e->piece_count], &delta_regs);
}

int codec_decode(struct codec *c, const uint8_t *data, size_t size, size_t *pos, struct event *e,
                 const char **why) {
    struct input in = {.at = data + *pos, .end = data + size};
    memset(e, 0, offsetof(struct event, regs)); // the registers are three quarters of an event
    e->pieces = NULL;
    e->piece_count = 0;
    const uint8_t kind = get_byte(&in);
    const uint8_t has = get_byte(&in);
    if (!in.why && (kind == EV_NONE || kind >= EV_KINDS)) fail(&in, "there is no such kind of event");
    if (has & HAS_TIME) c->time += unzigzag(get_varint(&in));
    if (has & HAS_TID) c->tid = get_int32(&in, c->tid);
    struct task_state *task = in.why ? NULL : find_task(c, c->tid);
    if (!in.why && !task)
        fail(&in, codec_full(c) ? "there are too many tasks in the chunk" : "out of memory");
    if (in.why) {
        *why = in.why;
        return -1;
    }
    if (has & HAS_FLAGS) task->flags[kind] = get_byte(&in);
    if (has & HAS_NR) task->nr[kind] = get_int32(&in, 0);
    if (has & HAS_RET) task->ret[kind] = (int64_t)((uint64_t)task->ret[kind] + unzigzag(get_varint(&in)));
    if (has & HAS_AUX) task->aux[kind] += unzigzag(get_varint(&in));
    if (task->flags[kind] & EVF_REGS)
        memcpy(&e->regs, task->regs, sizeof e->regs);
    else
        memset(&e->regs, 0, sizeof e->regs);
    if (has & HAS_REGS) {
        if (!(task->flags[kind] & EVF_REGS)) fail(&in, "registers of an event that has none");
        get_regs(&in, task->regs, (void *)&e->regs);
    }
    e->kind = kind;
    e->flags = task->flags[kind];
    e->tid = c->tid;
    e->nr = task->nr[kind];
    e->ret = task->ret[kind];
    e->aux = task->aux[kind];
    e->time_us = c->time;
    if (has & HAS_PIECES) get_pieces(&in, c, task, e);
    if (in.why) {
        *why = in.why;
        return -1;
    }
    *pos = (size_t)(in.at - data);
    return 0;
}
