#include "replayer/engine/call_feed.h"

#include "core/calls/call_code.h"
#include "core/calls/call_rows.h"
#include "core/tracee.h"
#include "replayer/engine/check.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/memory.h"
#include "replayer/engine/run.h"
#include "replayer/engine/space_maps.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { FED_MAX = 1900, HASHES = 8 };

// One call that is fed: what the program is to note of it.
struct fed {
    uint64_t number, time_us;
    struct call_entry want;
    unsigned hash_first, hash_count;
};

struct call_feed {
    uint64_t unfed; // this event's call does not come by way of a jump
    size_t count, size, noted;
    struct fed all[FED_MAX];
    struct piece_hash hashes[FED_MAX];
    unsigned hash_count;
    _Alignas(16) uint8_t list[CALL_FEED_SIZE], ring[CALL_RING_SIZE];
};

void call_feed_install(struct space *s) {
    uint8_t image[CALL_CODE_SIZE];
    const struct call_control control = {.head = CALL_RING};
    const struct space_map *m = space_map_at(s, ANNEX_CALLS);
    if (!m || m->v.start != ANNEX_CALLS || m->v.end - m->v.start != ANNEX_CALLS_SIZE ||
        !call_code_image(image))
        return;
    s->calls.on = tracee_write(s->mem_fd, ANNEX_CALLS, image, sizeof image) &&
                  tracee_write(s->mem_fd, CALL_ROWS, call_rows, sizeof call_rows) &&
                  tracee_write(s->mem_fd, CALL_CONTROL, &control, sizeof control);
}

// Is it the code of a stub (core/calls/call_site.c)? Then *behind is where it goes on: movabs $behind,%rcx; movabs $CALL_ENTRY,%r11; jmp *%r11
static bool is_stub(const struct piece *p, uint64_t *behind) {
    enum { TAIL = 10 + 10 + 3 };
    const uint64_t entry = CALL_ENTRY;
    if (p->kind != PIECE_MEM || p->len < TAIL) return false;
    const uint8_t *tail = (const uint8_t *)p->data + p->len - TAIL;
    memcpy(behind, tail + 2, sizeof *behind);
    return !memcmp(tail, "\x48\xb9", 2) && !memcmp(tail + 10, "\x49\xbb", 2) &&
           !memcmp(tail + 12, &entry, sizeof entry);
}

bool call_feed_patch(struct space *s, const struct event *e, struct loop_site *site) {
    uint64_t behind;
    if (e->piece_count != 2 || !is_stub(&e->pieces[0], &behind) || e->pieces[1].kind != PIECE_MEM)
        return false;
    const struct piece *jump = &e->pieces[1];
    *site = (struct loop_site){.address = jump->mem.address,
                               .stub_address = e->pieces[0].mem.address,
                               .patch_len = (uint8_t)jump->len,
                               .map_count = 1}; // the stub begins with the instruction that the jump covers
    if (jump->len > sizeof site->patch || !space_read(s, site->address, site->original, jump->len))
        return false;
    memcpy(site->patch, jump->data, jump->len);
    if (s->calls.count < sizeof s->calls.sites / sizeof *s->calls.sites)
        s->calls.sites[s->calls.count++] = behind;
    return true;
}

// ---- the list

static bool has_jump(const struct space *s, uint64_t behind) {
    for (unsigned i = 0; i < s->calls.count; i++)
        if (s->calls.sites[i] == behind) return true;
    return false;
}

static size_t up(size_t n) {
    return (n + 7) & ~(size_t)7;
}

static bool can_be_fed(const struct replay *r, const struct vtask *v, const struct event *e) {
    if (e->kind != EV_SYSCALL || e->tid != v->pub.tid || !(e->flags & EVF_REGS) || !call_row_has(e->nr) ||
        e->number == r->feed->unfed || !has_jump(v->space, e->regs.rip))
        return false;
    if (e->ret <= -512 && e->ret >= -516) return false;
    if (e->nr == SYS_fcntl && e->regs.rsi != 1 && e->regs.rsi != 3 && e->regs.rsi != 6) return false;
    if (e->regs.fs_base != v->pub.regs.fs_base || e->regs.gs_base != v->pub.regs.gs_base) return false;
    unsigned hashes = 0;
    for (size_t i = 0; i < e->piece_count; i++) {
        const struct piece *p = &e->pieces[i];
        if (p->kind != PIECE_MEM && p->kind != PIECE_HASH) return false;
        if (p->kind == PIECE_HASH && ++hashes > HASHES) return false;
        if ((p->kind == PIECE_MEM ? p->len : p->hash.length) > CALL_BYTES_MAX) return false;
    }
    return true;
}

static void put_range(struct call_feed *f, uint64_t address, size_t len, const void *bytes) {
    const struct call_bytes b = {address, (uint32_t)len, 0};
    memcpy(f->list + f->size, &b, sizeof b);
    f->size += sizeof b;
    if (!bytes) return;
    memcpy(f->list + f->size, bytes, len);
    f->size += up(len);
}

// What the program's entry is to say.
static void want(struct call_entry *w, const struct event *e) {
    const struct user_regs_struct *g = &e->regs;
    w->size = 0;
    w->nr = (uint16_t)e->nr;
    w->ranges = 0;
    w->result = e->ret;
    w->rip = g->rip;
    w->rflags = g->eflags;
    w->rsp = g->rsp, w->rbx = g->rbx, w->rbp = g->rbp, w->rdi = g->rdi, w->rsi = g->rsi, w->rdx = g->rdx;
    w->r8 = g->r8, w->r9 = g->r9, w->r10 = g->r10, w->r12 = g->r12, w->r13 = g->r13, w->r14 = g->r14;
    w->r15 = g->r15;
}

// Adds the event to the list. False: there is no room.
static bool put(struct call_feed *f, const struct event *e) {
    size_t need = sizeof(struct call_fed), notes = sizeof(struct call_entry);
    for (size_t i = 0; i < e->piece_count; i++) {
        const struct piece *p = &e->pieces[i];
        need += sizeof(struct call_bytes) + (p->kind == PIECE_MEM ? up(p->len) : 0);
        if (p->kind == PIECE_HASH) notes += sizeof(struct call_bytes) + up(p->hash.length);
    }
    if (f->count == FED_MAX || f->hash_count + HASHES > FED_MAX || need > sizeof f->list - f->size ||
        notes > sizeof f->ring - f->noted)
        return false;
    f->noted += notes;
    struct fed *now = &f->all[f->count++];
    now->number = e->number;
    now->time_us = e->time_us;
    now->hash_first = f->hash_count;
    now->hash_count = 0;
    want(&now->want, e);
    // In its place: put together elsewhere and copied, its bytes were waited for (a third of this function's time).
    struct call_fed *fed = (void *)(f->list + f->size);
    fed->size = (uint32_t)need;
    fed->nr = (uint16_t)e->nr;
    fed->outs = fed->ins = fed->pad = 0;
    fed->pad2 = 0;
    fed->result = e->ret;
    fed->rip = e->regs.rip;
    f->size += sizeof *fed;
    for (size_t i = 0; i < e->piece_count; i++) {
        if (e->pieces[i].kind != PIECE_MEM) continue;
        put_range(f, e->pieces[i].mem.address, e->pieces[i].len, e->pieces[i].data);
        fed->outs++;
    }
    for (size_t i = 0; i < e->piece_count; i++) {
        if (e->pieces[i].kind != PIECE_HASH) continue;
        put_range(f, e->pieces[i].hash.address, e->pieces[i].hash.length, NULL);
        f->hashes[f->hash_count++] = e->pieces[i].hash;
        now->hash_count++;
        fed->ins++;
    }
    return true;
}

// r->event and what follows it. What is read and not put becomes r->ahead.
static int gather(struct replay *r, struct vtask *v, uint64_t last, struct rf_error *err) {
    struct call_feed *f = r->feed;
    f->count = f->size = f->noted = f->hash_count = 0;
    while (put(f, &r->event)) {
        int got = trace_next(r->trace, &r->event, err);
        if (got < 0) return -1;
        if (!got) return 0;
        if (r->event.number >= last || !can_be_fed(r, v, &r->event)) break;
    }
    r->ahead = r->event;
    r->have_ahead = true;
    return 0;
}

// ---- what the program did with it

// Not by memcmp, whose call is a tenth of the replay of small calls.
static bool same_call(const struct call_entry *n, const struct call_entry *want) {
    enum { FROM = offsetof(struct call_entry, rsp), REGS = (sizeof *n - FROM) / sizeof(uint64_t) };
    const uint64_t *a = (const void *)((const char *)n + FROM),
                   *b = (const void *)((const char *)want + FROM);
    uint64_t differ = (n->rip ^ want->rip) | ((n->rflags ^ want->rflags) & ~EFLAGS_IGNORED);
#pragma GCC unroll 16
    for (int i = 0; i < REGS; i++)
        differ |= a[i] ^ b[i];
    return !differ;
}

// As a stop at the `syscall` would show them.
static void registers_of(const struct call_entry *n, struct user_regs_struct *g) {
    g->rip = g->rcx = n->rip;
    g->r11 = g->eflags = n->rflags & ~EFLAGS_RF;
    g->rax = n->nr;
    g->rsp = n->rsp, g->rbx = n->rbx, g->rbp = n->rbp, g->rdi = n->rdi, g->rsi = n->rsi, g->rdx = n->rdx;
    g->r8 = n->r8, g->r9 = n->r9, g->r10 = n->r10, g->r12 = n->r12, g->r13 = n->r13, g->r14 = n->r14;
    g->r15 = n->r15;
}

// The event, but for its pieces.
static struct event event_of(const struct vtask *v, const struct fed *f) {
    struct event e = {.number = f->number,
                      .time_us = f->time_us,
                      .tid = v->pub.tid,
                      .kind = EV_SYSCALL,
                      .flags = EVF_REGS,
                      .nr = f->want.nr,
                      .ret = f->want.result,
                      .regs = v->pub.regs};
    registers_of(&f->want, &e.regs);
    return e;
}

static int check_content(struct replay *r, struct vtask *v, const struct fed *f, const struct call_entry *n,
                         struct rf_error *err) {
    const struct event e = event_of(v, f);
    const uint8_t *at = (const uint8_t *)(n + 1), *end = (const uint8_t *)n + n->size;
    for (unsigned i = 0; i < f->hash_count; i++) {
        const struct call_bytes *b = (const void *)at;
        const struct piece_hash *hash = &r->feed->hashes[f->hash_first + i];
        bool whole = i < n->ranges && (size_t)(end - at) >= sizeof *b &&
                     (size_t)(end - at) - sizeof *b >= up(b->length) && !b->missing &&
                     b->length == hash->length;
        if (!whole)
            return diverged(err, &e, v, "the %llu bytes at 0x%llx that the program wrote cannot be read",
                            (unsigned long long)hash->length, (unsigned long long)hash->address);
        if (check_written(r, &e, v, hash, b + 1, err) < 0) return -1;
        at += sizeof *b + up(b->length);
    }
    return 0;
}

static bool cannot_read(void *context, uint64_t address, void *buffer, size_t len) {
    (void)context, (void)address, (void)buffer, (void)len;
    return false;
}

static int check_one(struct replay *r, struct vtask *v, const struct fed *f, const struct call_entry *n,
                     struct rf_error *err) {
    if (!same_call(n, &f->want)) {
        const struct event e = event_of(v, f);
        registers_of(n, &v->pub.regs);
        if (check_regs(r, &e, v, err) < 0) return -1;
    }
    v->pub.nr = f->want.nr;
    const uint64_t args[6] = {n->rdi, n->rsi, n->rdx, n->r10, n->r8, n->r9};
    memcpy(v->pub.args, args, sizeof args);
    v->pub.last_event = f->number;
    if (call_rows[f->want.nr].flags & CALL_ROW_FDS)
        v->fds = fdtable_syscall(v->fds, f->want.nr, args, f->want.result, cannot_read, NULL);
    return f->hash_count ? check_content(r, v, f, n, err) : 0;
}

// How many of the calls were made, all of them checked; -1.
static int check_all(struct replay *r, struct vtask *v, struct rf_error *err) {
    struct call_feed *f = r->feed;
    struct space *s = v->space;
    struct call_control control;
    const struct call_control none = {.head = CALL_RING};
    if (!tracee_read(s->pid, s->mem_fd, CALL_CONTROL, &control, sizeof control)) return 0;
    size_t len = control.head - CALL_RING, at = 0;
    if (len > sizeof f->ring || !tracee_read(s->pid, s->mem_fd, CALL_RING, f->ring, len) ||
        !tracee_poke(s->pid, s->mem_fd, CALL_CONTROL, &none, sizeof none))
        len = 0;
    struct user_regs_struct stopped = v->pub.regs;
    int count = 0;
    for (; at < len && (size_t)count < f->count; count++) {
        const struct call_entry *n = (const void *)(f->ring + at);
        if (len - at < sizeof *n || n->size < sizeof *n || n->size > len - at || n->size % 8) break;
        if (check_one(r, v, &f->all[count], n, err) < 0) return -1;
        at += n->size;
    }
    v->pub.regs = stopped;
    return count;
}

// The program has come to a stop before it has taken all: to a `syscall` by another way than the jump, which is made at a stop
// then. Anything else is not what was recorded.
static int back_to(struct replay *r, struct vtask *v, int count, int status, struct rf_error *err) {
    struct call_feed *f = r->feed;
    const struct event e = event_of(v, &f->all[count]);
    if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
        char how[64];
        describe_status(how, sizeof how, status);
        return diverged(err, &e, v, "instead the program %s at pc 0x%llx", how, v->pub.regs.rip);
    }
    v->pub.regs.rip -= 2; // of `syscall`
    f->unfed = e.number;
    r->have_ahead = false;
    if (trace_seek(r->trace, e.number, err) < 0 || trace_next(r->trace, &r->ahead, err) != 1) return -1;
    if (count)
        r->have_ahead = true;
    else
        r->event = r->ahead;
    return 0;
}

int call_feed_run(struct replay *r, uint64_t last, struct rf_error *err) {
    if (r->event.kind != EV_SYSCALL || r->event.number >= last || r->breaks.on || r->watch.on ||
        r->options.no_probes)
        return 0;
    struct vtask *v = vtask_find(r, r->event.tid);
    if (!v || !v->space || !v->space->calls.count || !v->space->calls.on || v->restart || v->at_entry ||
        v->comm_tid)
        return 0;
    if (!r->feed) r->feed = calloc(1, sizeof *r->feed);
    rf_assert(r->feed);
    if (!can_be_fed(r, v, &r->event)) return 0;
    struct call_feed *f = r->feed;
    struct space *s = v->space;
    if (gather(r, v, last, err) < 0) return -1;
    rf_work = (struct rf_work){v->pub.tid, f->all[0].number};
    const struct call_control control = {.head = CALL_RING, .left = f->count, .feed = CALL_FEED};
    if (!tracee_poke(s->pid, s->mem_fd, CALL_FEED, f->list, f->size) ||
        !tracee_poke(s->pid, s->mem_fd, CALL_CONTROL, &control, sizeof control))
        return rf_fail(err, RF_CANNOT, "lost the replay task of process %d", v->pub.pid);
    int status = 0;
    if (vtask_run(r, v, &status, err) < 0) return -1;
    int count = check_all(r, v, err);
    if (count < 0) return -1;
    if ((size_t)count < f->count) {
        if (back_to(r, v, count, status, err) < 0) return -1;
        if (!count) return 0;
    }
    r->event = event_of(v, &f->all[count - 1]);
    if ((size_t)count == f->count) {
        v->pub.regs = r->event.regs;
        v->pub.regs.rax = (uint64_t)r->event.ret;
    }
    v->pub.in_syscall = false;
    r->have_event = true;
    r->position = r->event.number;
    return 1;
}
