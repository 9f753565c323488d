// Changes one thing in a good trace: tamper IN OUT N PART makes the N-th kind of change, after PART of 8 parts of the events
// that it can be made at, and says what it was. 1: there is no such event in it. tamper --kinds: how many kinds there are. Checksums of the copy
// are good: only the replay can notice. The last hundred kinds are bits of the file.
#include "core/trace/trace_read.h"
#include "core/trace/trace_write.h"
#include "tests/copy_blobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REGISTERS = 27, VALUES = 6, FLAGS = 7 };
// Of an event, then of a piece.
enum {
    DROP,
    TWICE,
    LATER,
    TID,
    NR,
    RET,
    AUX,
    FIRST_FLAG,
    FIRST_REGISTER = FIRST_FLAG + FLAGS,
    EVENT_WAYS = FIRST_REGISTER + REGISTERS
};
enum { PIECE_DROP, FIRST_VALUE, FIRST_BYTE = FIRST_VALUE + VALUES, LAST_BYTE, SHORTER, ZEROED, PIECE_WAYS };
enum {
    OF_TRACE = (EV_KINDS - 1) * EVENT_WAYS + (PIECE_KINDS - 1) * PIECE_WAYS,
    OF_FILE = 100,
    ALL_KINDS = OF_TRACE + OF_FILE
};

struct change {
    bool of_piece;
    int kind, way;
};

static struct change change_of(int n) {
    const int of_events = (EV_KINDS - 1) * EVENT_WAYS;
    if (n < of_events) return (struct change){false, 1 + n / EVENT_WAYS, n % EVENT_WAYS};
    n -= of_events;
    return (struct change){true, 1 + n / PIECE_WAYS, n % PIECE_WAYS};
}

static void describe(const struct change *c, char *out, size_t size) {
    static const char *const event_ways[] = {
        "left out", "there twice", "after the next one", "of another task", "nr", "ret", "aux"};
    static const char *const piece_ways[] = {
        "left out", "", "", "", "", "", "", "first byte", "last byte", "a byte shorter", "zeroed"};
    if (!c->of_piece && c->way >= FIRST_REGISTER)
        snprintf(out, size, "%s: register %d", event_kind_name(c->kind), c->way - FIRST_REGISTER);
    else if (!c->of_piece && c->way >= FIRST_FLAG)
        snprintf(out, size, "%s: flag %d", event_kind_name(c->kind), 1 << (c->way - FIRST_FLAG));
    else if (!c->of_piece)
        snprintf(out, size, "%s: %s", event_kind_name(c->kind), event_ways[c->way]);
    else if (c->way >= FIRST_VALUE && c->way < FIRST_BYTE)
        snprintf(out, size, "piece %s: value %d", piece_kind_name(c->kind), c->way - FIRST_VALUE);
    else
        snprintf(out, size, "piece %s: %s", piece_kind_name(c->kind), piece_ways[c->way]);
}

static struct piece *piece_for(const struct change *c, struct event *e) {
    for (size_t i = 0; i < e->piece_count; i++) {
        struct piece *p = &e->pieces[i];
        if (p->kind != c->kind) continue;
        if (c->way < FIRST_BYTE || (p->len && p->data)) return p;
    }
    return NULL;
}

static const size_t values[PIECE_KINDS] = {
#define PIECE(id, name, ...) [PIECE_##id] = sizeof(struct piece_##name) / sizeof(uint64_t),
#include "core/events.def"
#undef PIECE
};

static bool fits(const struct change *c, struct event *e) {
    const bool value = c->of_piece && c->way >= FIRST_VALUE && c->way < FIRST_BYTE;
    if (value && (size_t)(c->way - FIRST_VALUE) >= values[c->kind]) return false;
    if (c->of_piece) return piece_for(c, e);
    return e->kind == c->kind && (c->way < FIRST_REGISTER || e->flags & EVF_REGS);
}

static uint8_t changed_bytes[64 << 20];

static void change_piece(const struct change *c, struct event *e) {
    struct piece *p = piece_for(c, e);
    if (c->way == PIECE_DROP) {
        size_t at = (size_t)(p - e->pieces);
        memmove(p, p + 1, (e->piece_count - at - 1) * sizeof *p);
        e->piece_count--;
        return;
    }
    if (c->way < FIRST_BYTE) {
        p->v[c->way - FIRST_VALUE] += 1;
        return;
    }
    memcpy(changed_bytes, p->data, p->len);
    p->data = changed_bytes;
    if (c->way == FIRST_BYTE) changed_bytes[0] ^= 1;
    if (c->way == LAST_BYTE) changed_bytes[p->len - 1] ^= 1;
    if (c->way == ZEROED) memset(changed_bytes, 0, p->len);
    if (c->way == SHORTER && !--p->len) p->data = NULL;
}

static void change_event(const struct change *c, struct event *e) {
    if (c->of_piece) {
        change_piece(c, e);
    } else if (c->way >= FIRST_REGISTER) {
        uint64_t registers[REGISTERS];
        memcpy(registers, &e->regs, sizeof registers);
        registers[c->way - FIRST_REGISTER] ^= 1;
        memcpy(&e->regs, registers, sizeof registers);
    } else if (c->way >= FIRST_FLAG) {
        e->flags ^= (uint8_t)(1 << (c->way - FIRST_FLAG));
    } else {
        if (c->way == TID) e->tid++;
        if (c->way == NR) e->nr++;
        if (c->way == RET) e->ret++;
        if (c->way == AUX) e->aux++;
    }
}

// The data of an event, which the reader's next call overwrites.
static void keep(struct event *to, const struct event *from) {
    *to = *from;
    to->pieces = calloc(from->piece_count + 1, sizeof *to->pieces);
    if (!to->pieces) abort();
    for (size_t i = 0; i < from->piece_count; i++) {
        to->pieces[i] = from->pieces[i];
        if (!from->pieces[i].len) continue;
        void *data = malloc(from->pieces[i].len);
        if (!data) abort();
        memcpy(data, from->pieces[i].data, from->pieces[i].len);
        to->pieces[i].data = data;
    }
}

static int append(struct trace_writer *out, struct event *e, struct rf_error *err) {
    const char *fault = event_fault(e);
    if (!fault) return trace_append(out, e, err);
    printf("refused by the reader's rules: %s\n", fault);
    exit(3);
}

static int copy_changed(struct trace_reader *in, struct trace_writer *out, const struct change *c,
                        uint64_t target, struct rf_error *err) {
    uint64_t n = 0;
    struct event e, held;
    bool holding = false;
    int r;
    while ((r = trace_next(in, &e, err)) > 0) {
        bool it = fits(c, &e) && n++ == target;
        if (it && !c->of_piece && c->way == DROP) continue;
        if (it && !c->of_piece && c->way == LATER) {
            keep(&held, &e);
            holding = true;
            continue;
        }
        if (it && !c->of_piece && c->way == TWICE && append(out, &e, err)) return -1;
        if (it) change_event(c, &e);
        if (append(out, &e, err)) return -1;
        if (holding && append(out, &held, err)) return -1;
        holding = false;
    }
    return r;
}

static uint64_t count_fitting(struct trace_reader *in, const struct change *c, struct rf_error *err) {
    uint64_t n = 0;
    struct event e;
    while (trace_next(in, &e, err) > 0)
        n += fits(c, &e);
    return n;
}

// A bit of the file, in its n-th percent: checksums are wrong then.
static int flip(const char *from, const char *to, int n) {
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    if (!in || !out) return 2;
    size_t len = fread(changed_bytes, 1, sizeof changed_bytes, in);
    printf("a bit of the file, at byte %zu\n", len * (size_t)n / OF_FILE);
    changed_bytes[len * (size_t)n / OF_FILE] ^= 1;
    bool written = fwrite(changed_bytes, 1, len, out) == len;
    fclose(in);
    return fclose(out) == 0 && written ? 0 : 2;
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "--kinds")) return printf("%d\n", ALL_KINDS) < 0;
    if (argc != 5) return 2;
    if (atoi(argv[3]) >= OF_TRACE) return flip(argv[1], argv[2], atoi(argv[3]) - OF_TRACE);
    struct change c = change_of(atoi(argv[3]));
    struct rf_error err = {0};
    struct trace_reader *in;
    struct trace_writer *out;
    char what[100];
    describe(&c, what, sizeof what);
    if (trace_open(argv[1], &in, &err) < 0) return fprintf(stderr, "%s\n", err.text), 2;
    uint64_t fitting = count_fitting(in, &c, &err);
    if (!fitting) return 1;
    printf("%s\n", what);
    fflush(stdout);
    int failed = trace_seek(in, 1, &err) < 0 ||
                 trace_create(argv[2], trace_get_header(in), -1, &out, &err) < 0 ||
                 copy_blobs(in, out, &err) < 0 ||
                 copy_changed(in, out, &c, fitting * (uint64_t)atoi(argv[4]) / 8, &err) < 0 ||
                 trace_finish(out, &err) < 0;
    if (failed) fprintf(stderr, "tamper: %s\n", err.text);
    return failed ? 2 : 0;
}
