// A STATE event names a place that no landmark marks: pc, all registers and a digest of all private memory.
// The same state has the same future, so the first place where all of it is equal is as good as the recorded
// one. The search runs in-process: the loop's site gets a stub that compares registers and the words that the
// loop writes; only a full match of those traps.
#include "replayer/engine/state_search.h"

#include "core/abi.h"
#include "core/annex.h"
#include "core/clock.h"
#include "core/loop_site.h"
#include "core/probe.h"
#include "core/memory_digest.h"
#include "core/tracee.h"
#include "replayer/engine/break_sites.h"
#include "replayer/engine/check.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/kernel_task.h"
#include "replayer/engine/memory.h"
#include "replayer/engine/run.h"
#include "replayer/engine/space_maps.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

struct search {
    struct replay *r;
    struct vtask *v;
    const struct event *e;
    struct loop_site site; // with `compare`
    struct state_want want;
    bool compare;  // in the process; else an int3 and a step for each iteration
    bool guarded;  // a jump to a follower under the patch traps: it goes on at the follower's copy
    uint64_t room; // mapped for the stub alone; 0: the recording has a place for it
    const uint8_t *patch;
    uint8_t original[16], saved[LOOP_COMPARE_MAX];
    size_t patch_len;
    struct compare_stub stub;
    uint64_t trap_pc;
};

static void wanted(const struct event *e, struct state_want *w) {
    const struct user_regs_struct *u = &e->regs;
    memset(w, 0, sizeof *w);
    abi_registers(u, w->gpr);
    w->rflags = u->eflags;
    size_t i = 0;
    for (const struct piece *p; (p = event_piece(e, PIECE_WORD, &i)) && w->word_count < 8;) {
        w->words[w->word_count].address = p->word.address;
        w->words[w->word_count++].value = p->word.value;
    }
}

// ---- the comparing stub

// Not over refork's own page: only the replayer's code runs there.
static bool annex_free_range(uint64_t address, uint64_t length) {
    return address + length >= address && (address + length <= REPLAY_PAGE || address >= REPLAY_PAGE + PAGE);
}

static bool plausible(const struct loop_site *s, const struct event *e) {
    if (!annex_free_range(s->stub_address, LOOP_COMPARE_MAX)) return false;
    return s->address == e->regs.rip && s->patch_len && s->patch_len <= sizeof s->patch &&
           s->stub_len <= sizeof s->stub && s->map_count <= sizeof s->map / sizeof *s->map;
}

static bool build(struct search *q) {
    if (loop_site_build_compare(&q->site, &q->want, &q->stub)) return false;
    q->trap_pc = q->stub.trap_pc;
    return true;
}

static bool recorded_site(struct search *q) {
    const struct piece *p = event_piece(q->e, PIECE_SITE, NULL);
    if (!p) return false;
    memcpy(&q->site, p->data, sizeof q->site);
    return plausible(&q->site, q->e) && !break_sites_in_jump(q->v->space, &q->site) && build(q);
}

static uint64_t map_in_the_way(void *context, uint64_t start, uint64_t end) {
    const struct space *s = context;
    start = page_down(start);
    if (start < ANNEX_END && end > REPLAY_PAGE) return ANNEX_END;
    for (size_t i = 0; i < s->map_count; i++)
        if (s->maps[i].v.start < end + PAGE && s->maps[i].v.end > start) return s->maps[i].v.end;
    return 0;
}

// Memory for the stub until the search is over. Nothing that the program does before its next landmark maps anything, so it is in
// nobody's way, and code that cannot be written is in no digest.
static bool make_room(struct search *q, uint64_t at) {
    enum { ROOM = 2 * PAGE };
    struct space *s = q->v->space;
    uint64_t start = page_down(at);
    int prot = PROT_READ | PROT_EXEC;
    long got = KERNEL_TASK_CALL(s->pid, SYS_mmap, start, ROOM, (uint64_t)prot,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, ~0ull);
    if (got != (long)start) {
        if (got > 0) kernel_task_unmap(s->pid, (uint64_t)got, ROOM);
        return false;
    }
    q->room = start;
    struct space_map map = {.v = {.start = start, .end = start + ROOM, .prot = prot, .name = "[sites]"},
                            .flags = MAP_PRIVATE | MAP_ANONYMOUS};
    space_maps_add(s, map);
    return true;
}

static void give_room_back(struct search *q) {
    struct space *s = q->v->space;
    if (!q->room) return;
    space_maps_remove(s, q->room, q->room + 2 * PAGE);
    kernel_task_unmap(s->pid, q->room, 2 * PAGE);
    q->room = 0;
}

// The recorder had no place for a stub here (a loop of short instructions whose entries are not all known, in traces of refork
// before it could pun): any of the jumps that probes are made of will do.
static bool made_site(struct search *q) {
    struct space *s = q->v->space;
    struct probe_request request = {.address = q->e->regs.rip, .kind = PROBE_CALL};
    const struct space_map *map = space_map_at(s, request.address);
    if (!map || !(map->v.prot & PROT_EXEC)) return false;
    request.len = map->v.end - request.address < sizeof request.code ? map->v.end - request.address
                                                                     : sizeof request.code;
    if (!space_read(s, request.address, request.code, request.len)) return false;
    for (int form = PROBE_LONG; form <= PROBE_PUNNED; form++)
        for (size_t k = 0; k < (form == PROBE_FOLLOWED ? sizeof probe_guards : 1); k++) {
            struct probe_plan plan;
            if (!probe_plan(&request, (enum probe_form)form, probe_guards[k], &plan)) continue;
            uint64_t at = loop_site_place(&plan, request.address, LOOP_COMPARE_MAX, map_in_the_way, s);
            const struct loop_counter counter = {at, ANNEX_COUNT, ANNEX_LIMIT};
            if (!at ||
                loop_site_build_planned(request.code, request.len, request.address, &plan, &counter,
                                        &q->site) ||
                break_sites_in_jump(s, &q->site))
                continue;
            if (!build(q) || !make_room(q, at)) continue;
            q->guarded = form == PROBE_FOLLOWED;
            return true;
        }
    return false;
}

// A jump led to an instruction that the patch displaced, whose first byte traps now: on at its copy.
static bool strayed(const struct search *q, int status) {
    struct user_regs_struct *u = &q->v->pub.regs;
    int sig = WSTOPSIG(status);
    if (!q->guarded || status >> 16 || (sig != SIGTRAP && sig != SIGILL)) return false;
    uint64_t offset = u->rip - (sig == SIGTRAP) - q->site.address;
    for (size_t i = 1; i < q->site.map_count && offset < q->patch_len; i++) {
        if (q->site.map[i].site != offset) continue;
        u->rip = q->site.stub_address + q->stub.displaced + q->site.map[i].stub - q->site.map[0].stub;
        return true;
    }
    return false;
}

// ---- is it this one?

// More words than the stub compares.
static bool same_words(struct vtask *v, const struct event *e) {
    size_t i = 0;
    for (const struct piece *p; (p = event_piece(e, PIECE_WORD, &i));) {
        uint64_t value;
        if (!space_read(v->space, p->word.address, &value, 8) || value != p->word.value) return false;
    }
    return true;
}

static bool same_state(struct vtask *v, const struct event *e) {
    struct user_regs_struct a = v->pub.regs, b = e->regs;
    a.orig_rax = b.orig_rax = 0;
    a.eflags &= ~EFLAGS_IGNORED;
    b.eflags &= ~EFLAGS_IGNORED;
    return !memcmp(&a, &b, sizeof a);
}

static bool found(const struct search *q, int candidate) {
    struct space *s = q->v->space;
    const struct event *e = q->e;
    bool regs = same_state(q->v, e), words = regs && same_words(q->v, e),
         fp = words && tracee_fp_digest(s->pid) == (uint64_t)e->ret;
    uint64_t digest = fp ? memory_digest(s->pid, s->mem_fd, NULL) : 0;
    if (fp && digest == e->aux) return true;
    if (q->r->options.log && candidate < 100)
        fprintf(q->r->options.log,
                "         not the state of event %llu: registers %d words %d fp %d digest 0x%llx, "
                "recorded 0x%llx\n",
                (unsigned long long)e->number, regs, words, fp, (unsigned long long)digest,
                (unsigned long long)e->aux);
    return false;
}

// ---- an end for a search in vain

// How long the program ran for this at most, recorded: since the event before. Its time may be a tick of the recorder's timer old.
static uint64_t recorded_us(const struct search *q) {
    enum { TICK_US = 20000 };
    const uint64_t most = 86400ull * 1000000;
    uint64_t before = q->r->time_us, now = q->e->time_us;
    uint64_t us = now > before ? now - before : 0;
    return (us < most ? us : most) + TICK_US;
}

// The kernel sends SIGXCPU to the task when it has used so much time of a CPU, which no load of the machine changes. An iteration of a loop
// takes a cycle at least, and less than a hundred with the stub; a stop at a breakpoint in it, thousands. An access
// of a protected page (page_watch.h) is several stops and calls: its factor is a guess that is meant to be too large. A search ended by the
// bound while it was right: 674 s in check-owned, reported as diverged.
static void limit_time(const struct search *q, struct rlimit *old) {
    struct space *s = q->v->space;
    clockid_t clock;
    if (clock_getcpuclockid(s->pid, &clock) != 0 || prlimit(s->pid, RLIMIT_CPU, NULL, old) < 0) return;
    uint64_t factor = s->watched && s->watch_pages ? 1000000 : s->watched || s->break_count ? 10000 : 100;
    uint64_t seconds = (clock_us(clock) + recorded_us(q) * factor) / 1000000 + 2;
    struct rlimit limit = {seconds < old->rlim_max ? seconds : old->rlim_max, old->rlim_max};
    prlimit(s->pid, RLIMIT_CPU, &limit, NULL);
}

static int in_vain(const struct search *q, struct rf_error *err) {
    char words[160] = "";
    size_t used = 0;
    for (int i = 0; i < q->want.word_count && i < 2; i++)
        used += (size_t)snprintf(words + used, sizeof words - used, ", 0x%llx at 0x%llx",
                                 (unsigned long long)q->want.words[i].value,
                                 (unsigned long long)q->want.words[i].address);
    return diverged(
        err, q->e, q->v,
        "looked for the recorded state of a loop at pc 0x%llx (rsp 0x%llx, rax 0x%llx, rcx 0x%llx%s); "
        "the program has run for far longer than recorded (%.3f s) and did not come to it",
        q->e->regs.rip, q->e->regs.rsp, q->e->regs.rax, q->e->regs.rcx, words, (double)recorded_us(q) / 1e6);
}

// ---- the search

static int search(struct search *q, struct rf_error *err) {
    struct vtask *v = q->v;
    struct space *s = v->space;
    const struct event *e = q->e;
    uint64_t iterations = 0, most = recorded_us(q) * 4000; // an iteration takes a cycle at least
    for (int candidate = 0;; candidate += candidate < 100) {
        int status = 0;
        // Without a stub the instruction under the int3 is stepped by itself: run from behind it is not
        // possible.
        tracee_write(s->mem_fd, e->regs.rip, q->patch, q->patch_len);
        int result;
        do
            result = vtask_run(q->r, v, &status, err);
        while (result == 0 && strayed(q, status));
        tracee_write(s->mem_fd, e->regs.rip, q->original, q->patch_len);
        if (result < 0) return result;
        if (WSTOPSIG(status) == SIGXCPU || iterations++ > most) return in_vain(q, err);
        if (WSTOPSIG(status) != SIGTRAP || v->pub.regs.rip != q->trap_pc) {
            char how[64];
            describe_status(how, sizeof how, status);
            return diverged(err, e, v, "before the state was reached the program %s at pc 0x%llx", how,
                            v->pub.regs.rip);
        }
        v->pub.regs.rip = e->regs.rip;
        // The digest is of the program's own memory: without our stub in it.
        if (q->compare) tracee_write(s->mem_fd, q->site.stub_address, q->saved, q->stub.len);
        if (found(q, candidate)) return 0;
        if (q->compare) {
            tracee_write(s->mem_fd, q->site.stub_address, q->stub.code, q->stub.len);
            break_sites_search_again(s, &q->site);
            v->pub.regs.rip = q->trap_pc;
        } else if (vtask_single_step(q->r, v, err) < 0) {
            return -1;
        }
    }
}

int state_search(struct replay *r, struct vtask *v, const struct event *e, struct rf_error *err) {
    struct space *s = v->space;
    struct search q = {.r = r, .v = v, .e = e, .patch_len = 1, .trap_pc = e->regs.rip + 1};
    wanted(e, &q.want);
    q.compare = recorded_site(&q) || made_site(&q);
    q.patch = q.compare ? q.site.patch : (const uint8_t *)"\xcc";
    if (q.compare) {
        q.patch_len = q.site.patch_len;
        if (!space_read(s, q.site.stub_address, q.saved, q.stub.len) ||
            !tracee_write(s->mem_fd, q.site.stub_address, q.stub.code, q.stub.len)) {
            give_room_back(&q);
            return diverged(err, e, v, "there is no room for the comparing stub");
        }
    } else {
        q.trap_pc = e->regs.rip + 1;
    }
    if (!annex_free_range(e->regs.rip, q.patch_len) || !space_read(s, e->regs.rip, q.original, q.patch_len)) {
        give_room_back(&q);
        return diverged(err, e, v, "the code at 0x%llx is not mapped", e->regs.rip);
    }
    const struct loop_site *stubbed = q.compare ? &q.site : NULL;
    struct rlimit old = {0};
    break_sites_search(s, stubbed, e->regs.rip, q.patch_len, q.stub.displaced);
    limit_time(&q, &old);
    int result = search(&q, err);
    if (old.rlim_max) prlimit(s->pid, RLIMIT_CPU, &old, NULL);
    if (q.compare) tracee_write(s->mem_fd, q.site.stub_address, q.saved, q.stub.len);
    break_sites_searched(s, stubbed, e->regs.rip, q.patch_len);
    give_room_back(&q);
    return result;
}
