#include "recorder/calls/calls.h"

#include "core/calls/call_code.h"
#include "core/calls/call_rows.h"
#include "core/calls/syscall_ranges.h"
#include "recorder/calls/quick.h"
#include "recorder/calls/sites.h"
#include "recorder/cpus.h"
#include "recorder/hooks.h"
#include "recorder/log.h"
#include "recorder/slices.h"
#include "recorder/space.h"

#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <xxhash.h>

// ---- what an entry says

// Memory of the program as the entry has it. False: it does not have all of it.
static bool entry_read(void *context, uint64_t address, void *buffer, size_t len) {
    const struct call_entry *e = context;
    while (len) {
        const char *at = (const char *)(e + 1), *end = (const char *)e + e->size;
        size_t had = len;
        for (int i = 0; i < e->ranges && len == had; i++) {
            const struct call_bytes *b = (const void *)at;
            size_t room = (size_t)(end - at), padded = (b->length + 7ull) / 8 * 8;
            if (room < sizeof *b || room - sizeof *b < padded || b->missing > b->length) return false;
            size_t have = b->length - b->missing;
            at += sizeof *b + padded;
            if (address < b->address || address - b->address >= have) continue;
            size_t skip = address - b->address, n = have - skip < len ? have - skip : len;
            memcpy(buffer, (const char *)(b + 1) + skip, n);
            buffer = (char *)buffer + n;
            address += n;
            len -= n;
        }
        if (len == had) return false;
    }
    return true;
}

static void take_regs(struct user_regs_struct *g, const struct call_entry *e) {
    g->orig_rax = g->rax = e->nr;
    g->rip = g->rcx = e->rip;
    g->r11 = e->rflags;
    g->eflags = e->rflags & ~EFLAGS_RF;
    g->rsp = e->rsp, g->rbx = e->rbx, g->rbp = e->rbp, g->rdi = e->rdi, g->rsi = e->rsi, g->rdx = e->rdx;
    g->r8 = e->r8, g->r9 = e->r9, g->r10 = e->r10, g->r12 = e->r12, g->r13 = e->r13, g->r14 = e->r14;
    g->r15 = e->r15;
}

static void take_call(struct task *t, const struct call_entry *e) {
    struct call *c = &t->call;
    c->inside = c->legacy = false;
    c->redirect_count = 0;
    c->nr = c->meaning = e->nr;
    c->args[0] = e->rdi, c->args[1] = e->rsi, c->args[2] = e->rdx;
    c->args[3] = e->r10, c->args[4] = e->r8, c->args[5] = e->r9;
    take_regs(&c->regs, e); // with the segments and their bases of the last landmark
}

// Of calls that only get bytes, those that the entry has are the event's. Returns how many pieces; -1: not one of these.
static int plain_pieces(const struct call_entry *e, struct piece *pieces) {
    const struct call_row *row = &call_rows[e->nr];
    const char *at = (const char *)(e + 1), *end = (const char *)e + e->size;
    bool gets = row->kind == CALL_PLAIN || row->kind == CALL_READS || row->kind == CALL_RECEIVES;
    if (!e->ranges) return 0;
    if (!gets || row->flags & CALL_ROW_WRITES || e->ranges > CALL_RANGES) return -1;
    for (int i = 0; i < e->ranges; i++) {
        const struct call_bytes *b = (const void *)at;
        size_t room = (size_t)(end - at), padded = (b->length + 7ull) / 8 * 8;
        if (room < sizeof *b || room - sizeof *b < padded || b->missing || !b->length) return -1;
        pieces[i].kind = PIECE_MEM;
        memset(pieces[i].v, 0, sizeof pieces[i].v);
        pieces[i].mem.address = b->address;
        pieces[i].data = b + 1;
        pieces[i].len = b->length;
        at += sizeof *b + padded;
    }
    return e->ranges;
}

// Most events need no batch. The registers are written twice, one by one: copied as a whole they would be waited for.
static void log_plain(struct recorder *r, struct task *t, const struct call_entry *e, struct piece *pieces,
                      int count) {
    struct event event;
    memset(&event, 0, offsetof(struct event, regs));
    event.kind = EV_SYSCALL;
    event.flags = EVF_REGS;
    event.tid = t->tid;
    event.nr = e->nr;
    event.ret = e->result;
    event.regs.cs = t->call.regs.cs, event.regs.ss = t->call.regs.ss, event.regs.ds = t->call.regs.ds;
    event.regs.es = t->call.regs.es, event.regs.fs = t->call.regs.fs, event.regs.gs = t->call.regs.gs;
    event.regs.fs_base = t->call.regs.fs_base, event.regs.gs_base = t->call.regs.gs_base;
    take_regs(&event.regs, e);
    event.pieces = pieces;
    event.piece_count = (size_t)count;
    log_event(r, t, &event);
}

// As log_plain, with the bytes that the call was given or wrote. False: nothing that could have been noted.
static bool log_with_bytes(struct recorder *r, struct task *t, const struct call_entry *e) {
    // Too large for the stack; nothing is kept in them (a process has one recorder).
    static struct syscall_range ranges[SYSCALL_RANGES];
    static char content[CALL_RING_SIZE];
    struct batch b;
    batch_entry(r, &b, EV_SYSCALL, t);
    b.e.ret = e->result;
    int n = syscall_ranges(e->nr, t->call.args, &e->result, entry_read, (void *)e, ranges);
    for (int i = 0; i < n; i++) {
        const struct syscall_range *g = &ranges[i];
        if (g->size > sizeof content) return false;
        bool have = entry_read((void *)e, g->address, content, g->size);
        if (g->dir != RANGE_IN) {
            if (!have) return false;
            memcpy(batch_piece(&b, PIECE_MEM, g->size), content, g->size);
            batch_last(&b)->mem.address = g->address;
        } else if (have) {
            batch_piece(&b, PIECE_HASH, 0);
            batch_last(&b)->hash = (struct piece_hash){g->address, g->size, XXH3_64bits(content, g->size)};
        }
    }
    batch_log(r, t, &b);
    return true;
}

// As syscall_returned does of a call that was made at a stop. False: nothing that could have been noted.
static bool log_call(struct recorder *r, struct task *t, const struct call_entry *e) {
    struct piece pieces[CALL_RANGES];
    int plain = plain_pieces(e, pieces);
    take_call(t, e);
    hooks_call_begins(r, t);
    if (call_rows[e->nr].flags & CALL_ROW_FDS)
        t->fds = fdtable_syscall(t->fds, e->nr, t->call.args, e->result, entry_read, (void *)e);
    if (plain >= 0)
        log_plain(r, t, e, pieces, plain);
    else if (!log_with_bytes(r, t, e))
        return false;
    t->mm->calls.noting = true;
    hooks_returned(r, t, e->result);
    t->mm->calls.noting = false;
    return true;
}

// ---- the ring

// Its last landmark is behind the call that it was in last, which ended with `result`; it has run since.
static void ran_since(struct task *t, int64_t result) {
    int wanted = t->interrupt_wanted;
    struct user_regs_struct after = t->call.regs;
    after.rax = (uint64_t)result;
    set_landmark(t, &after);
    t->interrupt_wanted = wanted;
    t->at_landmark = false;
}

// The head and what is new in the ring, by one call if it is no more than last time. False: it is gone.
static bool read_ring(const struct task *t, uint64_t *head, char *ring) {
    enum { LEAST = 512, MOST = 32 << 10 };
    const struct mm_calls *c = &t->mm->calls;
    size_t guess = c->last < LEAST ? LEAST : c->last > MOST ? MOST : c->last;
    if (guess > CALL_RING + CALL_RING_SIZE - c->tail) guess = CALL_RING + CALL_RING_SIZE - c->tail;
    struct iovec local[] = {{head, sizeof *head}, {ring, guess}},
                 remote[] = {{(void *)CALL_CONTROL, sizeof *head}, {(void *)c->tail, guess}};
    ssize_t got = process_vm_readv(t->tid, local, 2, remote, 2, 0);
    if (got < (ssize_t)sizeof *head) {
        got = pread(t->mm->mem_fd, head, sizeof *head, CALL_CONTROL);
        if (got != sizeof *head) return false;
    }
    size_t have = (size_t)got - sizeof *head;
    // (A head that nobody but the program can have written is for the caller.)
    if (*head < c->tail || *head > CALL_RING + CALL_RING_SIZE || *head - c->tail <= have) return true;
    size_t rest = *head - c->tail - have;
    return tracee_read(t->tid, t->mm->mem_fd, c->tail + have, ring + have, rest);
}

// The ring begins anew now and then: to say so is a call, and memory that was never used is a fault.
static void ring_read(struct task *t, uint64_t head, bool outside) {
    struct mm_calls *c = &t->mm->calls;
    c->tail = head;
    if (!outside || head < CALL_RING + CALL_RING_SIZE / 4) return;
    c->tail = CALL_RING;
    tracee_write(t->mm->mem_fd, CALL_CONTROL, &c->tail, sizeof c->tail);
}

static void stopped(struct recorder *r, struct task *t, bool outside) {
    static _Alignas(16) char ring[CALL_RING_SIZE]; // as above
    struct mm_calls *c = &t->mm->calls;
    uint64_t head;
    if (!c->on || !c->ran) return;
    c->ran = false;
    if (!read_ring(t, &head, ring)) return;
    if (head < c->tail || head > CALL_RING + CALL_RING_SIZE) {
        recorder_fail(r, "process %d has written into refork's own pages", t->process->pid);
        return;
    }
    size_t len = c->last = head - c->tail;
    int64_t result = 0;
    unsigned count = 0;
    if (len) t->call.regs = t->landmark;
    for (size_t at = 0; at < len;) {
        const struct call_entry *e = (const void *)(ring + at);
        bool good = len - at >= sizeof *e && e->size >= sizeof *e && e->size <= len - at &&
                    e->size % 8 == 0 && call_row_has(e->nr);
        if (!good || !log_call(r, t, e)) {
            recorder_fail(r, "process %d has written into refork's own pages", t->process->pid);
            return;
        }
        at += e->size;
        result = e->result;
        if (e->nr == SYS_rt_sigprocmask) t->mask = e->mask;
        count++;
    }
    if (len) ran_since(t, result);
    calls_were_made(r, count);
    if (count) hooks_calls_made(r, count);
    if (len && r->options->log)
        fprintf(r->options->log, "         %u calls of %d without a stop\n", count, t->tid);
    ring_read(t, head, outside);
}

// The kernel tells a getcpu that the program makes by itself of the CPU that refork is pinned to.
static bool write_rows(const struct recorder *r, const struct task *t) {
    static struct call_row rows[CALL_ROW_COUNT]; // as above
    memcpy(rows, call_rows, sizeof rows);
    if (cpus_here(r, t) != (unsigned)r->cpu) rows[SYS_getcpu].kind = CALL_DECLINED;
    return tracee_write(t->mm->mem_fd, CALL_ROWS, rows, sizeof rows);
}

static void exec(struct recorder *r, struct task *t) {
    uint8_t image[CALL_CODE_SIZE];
    const struct call_control control = {
        .head = CALL_RING, .quiet = r->strategist != NULL, .steps = calls_cost(r)};
    int fd = t->mm->mem_fd;
    if (!t->mm->annex || !call_code_image(image)) return;
    t->mm->calls.on = tracee_write(fd, ANNEX_CALLS, image, sizeof image) && write_rows(r, t) &&
                      tracee_write(fd, CALL_CONTROL, &control, sizeof control);
    t->mm->calls.tail = CALL_RING;
    t->mm->calls.seen = 0;
}

static void returned(struct recorder *r, struct task *t, int64_t ret) {
    // The kernel makes an interrupted call again when it comes from this very stop: nothing may be injected here.
    bool again = ret <= -512 && ret >= -516;
    if (ret >= 0) quick_sockets(t, ret);
    if (!again && !t->mm->calls.noting && t->state == TASK_READY) call_site_used(r, t);
}

static const struct recorder_hooks calls_hooks = {.exec = exec, .returned = returned, .stopped = stopped};

void calls_begin(struct recorder *r) {
    hooks_add(r, &calls_hooks);
}
