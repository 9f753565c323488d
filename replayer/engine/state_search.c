// A STATE event names a place that no landmark marks: pc, all registers and a digest of all private memory.
// The same state has the same future, so the first place where all of it is equal is as good as the recorded
// one. The search runs in-process: the loop's site gets a stub that compares registers and the words that the
// loop writes; only a full match of those traps.
#include "replayer/engine/state_search.h"

#include "core/annex.h"
#include "core/loop_site.h"
#include "core/tracee.h"
#include "replayer/engine/break_sites.h"
#include "replayer/engine/check.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/memory.h"
#include "replayer/engine/run.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static void wanted(const struct event *e, struct state_want *w) {
    const struct user_regs_struct *u = &e->regs;
    memset(w, 0, sizeof *w);
    tracee_gprs(u, w->gpr);
    w->rflags = u->eflags;
    size_t i = 0;
    for (const struct piece *p; (p = event_piece(e, PIECE_WORD, &i)) && w->word_count < 8;) {
        w->words[w->word_count].address = p->word.address;
        w->words[w->word_count++].value = p->word.value;
    }
}

// Not over refork's own page: only the replayer's code runs there.
static bool annex_free_range(uint64_t address, uint64_t length) {
    return address + length >= address && (address + length <= REPLAY_PAGE || address >= REPLAY_PAGE + 4096);
}

static bool plausible(const struct loop_site *s, const struct event *e) {
    if (!annex_free_range(s->stub_address, LOOP_COMPARE_MAX)) return false;
    return s->address == e->regs.rip && s->patch_len && s->patch_len <= sizeof s->patch &&
           s->stub_len <= sizeof s->stub && s->map_count <= sizeof s->map / sizeof *s->map;
}

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

int state_search(struct replay *r, struct vtask *v, const struct event *e, struct rf_error *err) {
    struct space *s = v->space;
    uint8_t original[16], stub[LOOP_COMPARE_MAX], saved[LOOP_COMPARE_MAX];
    const struct piece *p = event_piece(e, PIECE_SITE, NULL);
    struct loop_site site;
    struct state_want want;
    size_t patch_len = 1, stub_len = 0, displaced = 0;
    uint64_t trap_pc = e->regs.rip + 1;
    bool compare = p;
    if (compare) memcpy(&site, p->data, sizeof site);
    wanted(e, &want);
    compare = compare && plausible(&site, e) &&
              loop_site_build_compare(NULL, NULL, &site, 0, 0, site.stub_address, &want, stub, sizeof stub,
                                      &stub_len, &trap_pc, &displaced) == 0;
    const uint8_t *patch = (const uint8_t *)"\xcc";
    if (compare) {
        patch = site.patch;
        patch_len = site.patch_len;
        if (!space_read(s, site.stub_address, saved, stub_len) ||
            !tracee_write(s->mem_fd, site.stub_address, stub, stub_len))
            return diverged(err, e, v, "there is no room for the comparing stub");
    } else {
        trap_pc = e->regs.rip + 1;
    }
    if (!annex_free_range(e->regs.rip, patch_len) || !space_read(s, e->regs.rip, original, patch_len))
        return diverged(err, e, v, "the code at 0x%llx is not mapped", e->regs.rip);
    const struct loop_site *stubbed = compare ? &site : NULL;
    break_sites_search(s, stubbed, e->regs.rip, patch_len, displaced);
    int result = 0, candidates = 0;
    for (bool there = false; !there && !result;) {
        int status = 0;
        // Without a stub the instruction under the int3 is stepped by itself: run from behind it is not
        // possible.
        tracee_write(s->mem_fd, e->regs.rip, patch, patch_len);
        result = vtask_run(r, v, &status, err);
        tracee_write(s->mem_fd, e->regs.rip, original, patch_len);
        if (result < 0) break;
        if (WSTOPSIG(status) != SIGTRAP || v->pub.regs.rip != trap_pc) {
            char how[64];
            describe_status(how, sizeof how, status);
            result = diverged(err, e, v, "before the state was reached the program %s at pc 0x%llx", how,
                              v->pub.regs.rip);
            break;
        }
        v->pub.regs.rip = e->regs.rip;
        // The digest is of the program's own memory: without our stub in it.
        if (compare) tracee_write(s->mem_fd, site.stub_address, saved, stub_len);
        bool regs = same_state(v, e), words = regs && same_words(v, e),
             fp = words && tracee_fp_digest(s->pid) == (uint64_t)e->ret;
        uint64_t digest = fp ? memory_digest(s->pid, s->mem_fd, NULL) : 0;
        there = fp && digest == e->aux;
        if (!there && r->options.log && candidates++ < 100)
            fprintf(r->options.log,
                    "         not the state of event %llu: registers %d words %d fp %d digest 0x%llx, "
                    "recorded 0x%llx\n",
                    (unsigned long long)e->number, regs, words, fp, (unsigned long long)digest,
                    (unsigned long long)e->aux);
        if (there) break;
        if (compare) {
            tracee_write(s->mem_fd, site.stub_address, stub, stub_len);
            break_sites_search_again(s, &site);
            v->pub.regs.rip = trap_pc;
        } else {
            result = vtask_single_step(r, v, err);
        }
    }
    if (compare) tracee_write(s->mem_fd, site.stub_address, saved, stub_len);
    break_sites_searched(s, stubbed, e->regs.rip, patch_len);
    return result;
}
