#include "recorder/log.h"

#include "core/memory_digest.h"
#include "core/futex.h"
#include "core/printable.h"
#include "core/calls/syscalls.h"

#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

// Data of the pieces in one event: blocks that never move, so that pieces may point into them.
struct arena {
    struct arena *next;
    size_t used, size;
    char data[];
};

void batch_init(struct recorder *r, struct batch *b, int kind, struct task *t) {
    memset(&b->e, 0, offsetof(struct event, regs));
    b->e.kind = (uint8_t)kind;
    b->e.tid = t ? t->tid : 0;
    b->pieces = r->spare.pieces;
    b->capacity = r->spare.capacity;
    b->count = 0;
    b->arena = r->spare.arena;
    memset(&r->spare, 0, sizeof r->spare);
    if (b->arena) b->arena->used = 0;
}

static void *arena_room(struct batch *b, size_t len) {
    len = (len + 15) & ~(size_t)15;
    if (!b->arena || b->arena->size - b->arena->used < len) {
        size_t size = len > 32768 ? len : 32768;
        struct arena *a = malloc(sizeof *a + size);
        rf_assert(a);
        a->size = size;
        a->used = 0;
        a->next = b->arena;
        b->arena = a;
    }
    void *room = b->arena->data + b->arena->used;
    b->arena->used += len;
    return room;
}

void *batch_piece(struct batch *b, int kind, size_t len) {
    if (b->count == b->capacity) { // (kept from event to event, so its room does not follow from the count)
        b->capacity = b->capacity ? b->capacity * 2 : 16;
        b->pieces = realloc(b->pieces, b->capacity * sizeof *b->pieces);
        rf_assert(b->pieces);
    }
    void *room = len ? arena_room(b, len) : NULL;
    b->pieces[b->count++] = (struct piece){.kind = (uint8_t)kind, .data = room, .len = len};
    return room;
}

struct piece *batch_last(struct batch *b) {
    return &b->pieces[b->count - 1];
}

bool batch_mem(struct batch *b, struct task *t, int kind, uint64_t address, size_t len) {
    if (!len) return true;
    void *room = batch_piece(b, kind, len);
    batch_last(b)->mem.address = address;
    if (tracee_read(t->tid, t->mm->mem_fd, address, room, len)) return true;
    b->count--;
    return false;
}

bool batch_write(struct recorder *r, struct batch *b, struct task *t, uint64_t address, const void *bytes,
                 size_t len) {
    if (!tracee_write(t->mm->mem_fd, address, bytes, len)) {
        recorder_fail(r, "cannot write %zu bytes at 0x%lx of task %d", len, (unsigned long)address, t->tid);
        return false;
    }
    memcpy(batch_piece(b, PIECE_MEM, len), bytes, len);
    batch_last(b)->mem.address = address;
    return true;
}

void batch_text(struct batch *b, int kind, const char *text, size_t len) {
    void *room = batch_piece(b, PIECE_TEXT, len);
    if (len) memcpy(room, text, len);
    batch_last(b)->text.kind = (uint64_t)kind;
}

void batch_regs(struct batch *b, const struct user_regs_struct *regs) {
    struct user_regs_struct *room = batch_piece(b, PIECE_REGS, sizeof *regs);
    *room = *regs;
    room->eflags &= ~EFLAGS_RF;
}

void batch_xstate(struct recorder *r, struct batch *b, struct task *t) {
    uint8_t state[XSTATE_MAX], packed[2 * XSTATE_MAX];
    rf_assert(xstate_packed_most(sizeof state) <= sizeof packed);
    size_t n = tracee_get_xstate(t->tid, state, sizeof state);
    size_t len = xstate_pack(&r->xstate, state, n, packed);
    if (len) memcpy(batch_piece(b, PIECE_XSTATE, len), packed, len);
}

// ---- what is too large for one event

enum { EVENT_DATA = 32 << 20 };

static bool of_memory(const struct piece *p) {
    return p->kind == PIECE_MEM || p->kind == PIECE_FILE || p->kind == PIECE_TASKMEM;
}

// The part of a piece of memory from byte `from` on.
static struct piece part_of(const struct piece *p, size_t from, size_t len) {
    struct piece part = *p;
    if (p->kind == PIECE_MEM)
        part.mem.address += from;
    else if (p->kind == PIECE_FILE)
        part.file.offset += from;
    else
        part.taskmem.address += from;
    part.data = (const char *)p->data + from;
    part.len = len;
    return part;
}

// What a call has written is told before its exit then, in PATCH events: the task stands at its entry.
static void log_parts(struct recorder *r, struct task *t, struct batch *b) {
    size_t total = 0, left = 0;
    for (size_t i = 0; i < b->count; i++) {
        total += b->pieces[i].len;
        if (b->pieces[i].kind == PIECE_MAP) return; // whose memory that may be
    }
    if (total <= EVENT_DATA || !t || (b->e.kind != EV_SYSCALL && b->e.kind != EV_EXIT)) return;
    if (b->e.kind == EV_SYSCALL) {
        struct event entry = b->e;
        entry.kind = EV_ENTER;
        entry.ret = 0;
        entry.pieces = NULL;
        entry.piece_count = 0;
        log_event(r, t, &entry);
        b->e.kind = EV_EXIT;
        b->e.flags &= (uint8_t)~EVF_REGS;
    }
    for (size_t i = 0; i < b->count; i++) {
        const struct piece p = b->pieces[i];
        bool small = !of_memory(&p) || p.len < EVENT_DATA / 64;
        if (small) b->pieces[left++] = p;
        for (size_t at = 0; !small && at < p.len; at += EVENT_DATA) {
            struct piece part = part_of(&p, at, p.len - at < EVENT_DATA ? p.len - at : EVENT_DATA);
            struct event e = {.kind = EV_PATCH, .tid = t->tid, .pieces = &part, .piece_count = 1};
            log_event(r, t, &e);
        }
    }
    b->count = left;
}

void batch_log(struct recorder *r, struct task *t, struct batch *b) {
    bool digest = r->options->paranoid_every && t && t->at_landmark && b->e.kind != EV_DEATH &&
                  b->e.kind != EV_NOTE && b->e.kind != EV_ENTER && // logged late: others have run since
                  ++r->since_digest >= r->options->paranoid_every;
    if (digest) {
        r->since_digest = 0;
        batch_piece(b, PIECE_DIGEST, 0);
        batch_last(b)->digest.value = memory_digest(t->tid, t->mm->mem_fd, NULL);
    }
    log_parts(r, t, b);
    b->e.pieces = b->pieces;
    b->e.piece_count = b->count;
    log_event(r, t, &b->e);
    while (b->arena && (b->arena->next || b->arena->size > 1 << 20)) {
        struct arena *next = b->arena->next;
        free(b->arena);
        b->arena = next;
    }
    // A batch can be begun while another is open (a pending ENTER is logged first): one spare is kept.
    batch_release(r);
    r->spare.arena = b->arena;
    r->spare.pieces = b->pieces;
    r->spare.capacity = b->capacity;
}

void batch_release(struct recorder *r) {
    free(r->spare.arena);
    free(r->spare.pieces);
    memset(&r->spare, 0, sizeof r->spare);
}

void canonical_regs(struct user_regs_struct *regs) {
    regs->eflags &= ~EFLAGS_RF;
}

static uint64_t *share_of(struct recorder *r, const struct event *e) {
    const size_t n = sizeof r->shares.calls / sizeof *r->shares.calls;
    bool call = e->kind == EV_SYSCALL || e->kind == EV_ENTER || e->kind == EV_EXIT;
    return call && e->nr >= 0 && (size_t)e->nr < n ? &r->shares.calls[e->nr] : &r->shares.kinds[e->kind];
}

static void count_share(struct recorder *r, const struct event *e) {
    uint64_t *share = share_of(r, e);
    for (size_t i = 0; i < e->piece_count; i++)
        *share += e->pieces[i].len;
}

// The largest share below `below`, and what it is of.
static uint64_t largest_share(const struct trace_shares *all, uint64_t below, char *what, size_t size) {
    uint64_t most = 0;
    for (int kind = 0; kind < EV_KINDS; kind++)
        if (all->kinds[kind] > most && all->kinds[kind] < below) {
            most = all->kinds[kind];
            snprintf(what, size, "%s events", event_kind_name(kind));
        }
    for (size_t nr = 0; nr < sizeof all->calls / sizeof *all->calls; nr++)
        if (all->calls[nr] > most && all->calls[nr] < below) {
            most = all->calls[nr];
            snprintf(what, size, "%s", syscall_name((long)nr));
        }
    return most;
}

void log_trace_size(struct recorder *r) {
    const uint64_t GB = 1000000000;
    struct trace_shares *all = &r->shares;
    uint64_t size = trace_written_bytes(r->trace), total = 0;
    if (size < (all->told_at ? all->told_at * 10 : GB)) return;
    for (all->told_at = GB; size >= all->told_at * 10;)
        all->told_at *= 10;
    for (int kind = 0; kind < EV_KINDS; kind++)
        total += all->kinds[kind];
    for (size_t nr = 0; nr < sizeof all->calls / sizeof *all->calls; nr++)
        total += all->calls[nr];
    char first[64] = "", second[64] = "";
    uint64_t most = largest_share(all, ~0ull, first, sizeof first),
             next = largest_share(all, most, second, sizeof second);
    if (total < size / 2) {
        log_note(r, NULL,
                 "the trace has passed %llu GB: most of it are files that the program executes or maps",
                 (unsigned long long)(all->told_at / GB));
        return;
    }
    char also[96] = "";
    if (next > total / 20)
        snprintf(also, sizeof also, ", %.0f%% with %s", 100. * (double)next / (double)total, second);
    log_note(r, NULL,
             "the trace has passed %llu GB: %.0f%% of its data came with %s%s (%.1f GB before compression)",
             (unsigned long long)(all->told_at / GB), 100. * (double)most / (double)total, first, also,
             (double)total / 1e9);
}

void log_event(struct recorder *r, struct task *t, struct event *e) {
    if (r->deferred && r->deferred != t) log_deferred_entry(r);
    if (t) t->own_steps += event_own_steps(e->kind);
    // A deferred entry is logged before anything else is: its time is still the latest.
    e->time_us = e->kind == EV_ENTER && t ? t->call.since_us : r->clock_us;
    if (r->failed || r->trace_lost) return;
    struct rf_error err;
    if (trace_append(r->trace, e, &err) < 0) {
        trace_failed(r, &err);
        return;
    }
    count_share(r, e);
    if (r->options->log)
        fprintf(r->options->log, "%8llu %8llu us  %d %s nr=%d ret=%lld rip=%llx rsp=%llx pieces=%zu\n",
                (unsigned long long)e->number, (unsigned long long)e->time_us, e->tid,
                event_kind_name(e->kind), e->nr, (long long)e->ret, e->flags & EVF_REGS ? e->regs.rip : 0,
                e->flags & EVF_REGS ? e->regs.rsp : 0, e->piece_count);
}

static void note(struct recorder *r, struct task *t, long refused, int64_t answer, const char *text) {
    print_clean(stderr, "refork: %s\n", text);
    struct batch b;
    batch_init(r, &b, EV_NOTE, t);
    b.e.nr = (int32_t)refused;
    b.e.ret = answer;
    batch_text(&b, TEXT_MESSAGE, text, strlen(text));
    batch_log(r, t, &b);
}

void log_note(struct recorder *r, struct task *t, const char *format, ...) {
    char text[600];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    note(r, t, 0, 0, text);
}

void log_refusal(struct recorder *r, struct task *t, int64_t answer, const char *format, ...) {
    char text[600];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    note(r, t, t->call.nr, answer, text);
}

// ---- entries that come late

void batch_entry(struct recorder *r, struct batch *b, int kind, struct task *t) {
    batch_init(r, b, kind, t);
    b->e.nr = (int32_t)t->call.nr;
    b->e.flags |= EVF_REGS;
    b->e.regs = t->call.regs;
}

void log_deferred_entry(struct recorder *r) {
    struct task *t = r->deferred;
    r->deferred = NULL;
    struct batch b;
    batch_entry(r, &b, EV_ENTER, t);
    if (t->call.nr == SYS_futex &&
        (futex_takes_lock(t->call.args) || futex_operation(t->call.args) == FUTEX_WAIT_REQUEUE_PI)) {
        // The kernel sets FUTEX_WAITERS in the word before it sleeps: once asleep, the word is what others
        // will see.
        for (char state; (state = task_state_letter(t->tid)) == 'R';)
            sched_yield();
        batch_mem(&b, t, PIECE_MEM, t->call.args[0], 4);
    }
    batch_log(r, t, &b);
}
