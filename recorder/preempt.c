// Ends the time slice of a task that reaches no landmark by itself. First the PLT clock's limit is lowered:
// the next library call is a landmark. A loop without library calls gets a counting stub on one of its
// instructions; the place where that begins is the one landmark that replay must search for (STATE).
#include "recorder/preempt.h"

#include "core/memory_digest.h"
#include "core/abi.h"
#include "core/annex.h"
#include "core/elf/elf_module.h"
#include "core/elf/elf_functions.h"
#include "core/guard.h"
#include "core/loop_site.h"
#include "core/probe.h"
#include "core/code_operands.h"
#include "core/proc_maps.h"
#include "recorder/arrivals.h"
#include "recorder/inject.h"
#include "recorder/log.h"
#include "recorder/hooks.h"
#include "recorder/plt_clock.h"
#include "recorder/signals.h"
#include "recorder/slices.h"
#include "recorder/step.h"
#include "recorder/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TICKS_FOR_CLOCK = 2,
    MAX_STEPS = 6000,
    SITE_STUB = LOOP_COMPARE_MAX,
    // The first eight are for the comparing stub. The others are read before all memory is hashed, which takes far longer: a
    // loop of Python's came by with the same registers and the same eight words for minutes, at some 0.2 s each.
    WORDS = 96
};

void preempt_tick(struct recorder *r, struct task *t) {
    // Asleep in a call that it makes by itself (another reader has taken what was there): it is to be made at a stop.
    if (t->mm->calls.on && task_state_letter(t->tid) == 'S') ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
    signals_late(r, t->process, false);
    if (t->trap_open) ptrace(PTRACE_INTERRUPT, t->tid, 0, 0); // no signal has come for long enough
    if (t->interrupt_wanted) {
        if (++t->interrupt_wanted > TICKS_FOR_CLOCK) ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
        return;
    }
    now_us(r);
    if (!slice_over(r)) return;
    collect_stops(r);
    if (others_ready(r, t))
        landmark_soon(t);
    else if (hooks_tick(r, t))
        ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
}

struct round {
    uint64_t pcs[MAX_STEPS];
    size_t count;
};

// ---- where the code comes from

struct mapping {
    uint64_t start, offset;
    char name[512];
};

// The mapping that holds pc, and in *gap a free address for SITE_PAGES bytes within 1 GiB of it (0: none).
static bool mapping_at(struct task *t, uint64_t pc, struct mapping *out, uint64_t *gap) {
    scoped_maps struct proc_maps maps;
    struct proc_map m;
    bool found = false;
    uint64_t last_end = 65536, best = 0, best_distance = 1ull << 30, guard = 4u << 20;
    proc_maps_open(&maps, t->tid);
    while (proc_maps_next(&maps, &m)) {
        if (pc >= m.start && pc < m.end) {
            *out = (struct mapping){.start = m.start, .offset = m.offset};
            snprintf(out->name, sizeof out->name, "%s", m.name);
            found = true;
        }
        // Guard distance, so that a heap or a stack that grows does not meet the stubs at once.
        if (m.start > last_end && m.start - last_end >= SITE_PAGES + guard + (4u << 20)) {
            uint64_t middle = last_end + (m.start - last_end) / 2, low = last_end + guard,
                     high = m.start - (4u << 20) - SITE_PAGES;
            uint64_t at = pc < low ? low : pc > high ? high : middle;
            at = page_down(at);
            uint64_t distance = at > pc ? at - pc : pc - at;
            if (distance < best_distance) {
                best = at;
                best_distance = distance;
            }
        }
        last_end = m.end;
        guard = strcmp(m.name, "[heap]") ? 4u << 20 : 512u << 20; // who uses sbrk has no other place to grow
    }
    *gap = best;
    return found;
}

static void function_range(const struct mapping *m, uint64_t pc, uint64_t *start, uint64_t *end) {
    *start = *end = 0;
    scoped_fd int fd = open(m->name, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 64) {
        void *image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        struct elf_module *e = image == MAP_FAILED ? NULL : elf_module_parse(image, (size_t)st.st_size);
        uint64_t bias, from, to;
        // Landing pads are entered by the unwinder, not by a branch that could be seen.
        if (e && elf_module_bias(e, m->offset, m->start, &bias) &&
            !elf_module_has_landing_pads(e, pc - bias) && elf_module_function(e, pc - bias, &from, &to)) {
            *start = from + bias;
            *end = to + bias;
        }
        if (e) elf_module_free(e);
        if (image != MAP_FAILED) munmap(image, (size_t)st.st_size);
    }
}

// ---- the STATE event

// The words that the loop writes, with their values each time that its site is visited. Those that tell one
// visit from all others are the ones that never return to an old value (counters); an inner loop's or a
// callee's words repeat.
enum { CANDIDATES = 512, VISITS = 24, STEP_BUDGET = 3000 };
struct words {
    struct {
        uint64_t address, value[VISITS];
        int first, changes; // first: the visit that saw it first
        bool returns;
    } all[CANDIDATES];
    int count, visits, steps;
};

static void add_words(struct task *t, const struct user_regs_struct *regs, struct words *w) {
    uint8_t code[16];
    struct memory_operand ops[4];
    if (!tracee_read(t->tid, t->mm->mem_fd, regs->rip, code, sizeof code)) return;
    int n = code_memory_operands(code, sizeof code, regs, ops);
    for (int i = 0; i < n; i++) {
        if (!ops[i].written) continue;
        for (uint64_t at = ops[i].address & ~7ull; at < ops[i].address + ops[i].size && w->count < CANDIDATES;
             at += 8) {
            bool known = false;
            for (int k = 0; k < w->count && !known; k++)
                known = w->all[k].address == at;
            if (known) continue;
            w->all[w->count].address = at;
            w->all[w->count++].first = w->visits;
        }
    }
}

static void look_at_words(struct task *t, struct words *w) {
    int now = w->visits++;
    for (int i = 0; i < w->count; i++) {
        uint64_t *value = w->all[i].value;
        value[now] = 0;
        tracee_read(t->tid, t->mm->mem_fd, w->all[i].address, &value[now], 8);
        if (w->all[i].first == now || value[now] == value[now - 1]) continue;
        w->all[i].changes++;
        for (int k = w->all[i].first; k < now - 1; k++)
            w->all[i].returns |= value[k] == value[now];
    }
}

// How much a word tells: counters by how often they count, then what changes, then the rest.
static int telling(const struct words *w, int i) {
    return (w->all[i].changes ? w->all[i].returns ? 1 : 100 : 0) + w->all[i].changes;
}

static void log_state(struct recorder *r, struct task *t, const struct user_regs_struct *regs,
                      const struct words *w, const struct loop_site *site) {
    struct batch b;
    batch_init(r, &b, EV_STATE, t);
    b.e.flags |= EVF_REGS;
    b.e.regs = *regs;
    b.e.aux = memory_digest(t->tid, t->mm->mem_fd, NULL);
    b.e.ret = (int64_t)tracee_fp_digest(t->tid);
    bool used[CANDIDATES] = {0};
    for (int n = 0; n < WORDS && n < w->count; n++) {
        int best = -1;
        for (int i = 0; i < w->count; i++)
            if (!used[i] && (best < 0 || telling(w, i) > telling(w, best))) best = i;
        used[best] = true;
        batch_piece(&b, PIECE_WORD, 0);
        batch_last(&b)->word = (struct piece_word){
            .address = w->all[best].address, .value = w->all[best].value[w->visits - 1], .size = 8};
    }
    // What replay needs to look for this place in-process: the same patch with a comparing stub.
    if (site) {
        memcpy(batch_piece(&b, PIECE_SITE, sizeof *site), site, sizeof *site);
        batch_last(&b)->site.address = site->address;
    }
    set_landmark_in_code(t, regs);
    t->stepped = true;
    clock_set_limit(t->mm, ~0ull);
    batch_log(r, t, &b);
}

static bool within_2g(uint64_t a, uint64_t b) {
    return (a > b ? a - b : b - a) < (1ull << 31) - (1 << 20);
}

// Maps SITE_PAGES bytes for stubs at `at`. NULL: the kernel did not, or t is gone.
static struct site_page *site_page_new(struct recorder *r, struct task *t, uint64_t at) {
    struct mm *mm = t->mm;
    enum { N = sizeof mm->sites.pages / sizeof *mm->sites.pages };
    if (mm->sites.page_count == N) return NULL;
    const uint64_t place[6] = {at, SITE_PAGES, PROT_READ | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, ~0ull};
    if (inject(r, t, SYS_mmap, place) != (long)at || t->state != TASK_READY) return NULL;
    mm->sites.pages[mm->sites.page_count] = (struct site_page){at, 0};
    struct batch b;
    batch_init(r, &b, EV_PATCH, t);
    memcpy(batch_piece(&b, PIECE_MAP, 7), "[sites]", 7);
    batch_last(&b)->map = (struct piece_map){.address = at,
                                             .length = SITE_PAGES,
                                             .prot = PROT_READ | PROT_EXEC,
                                             .flags = MAP_PRIVATE | MAP_ANONYMOUS};
    batch_log(r, t, &b);
    return &mm->sites.pages[mm->sites.page_count++];
}

// A page with room for one more stub near `pc`; `gap`: where a new one could go.
static struct site_page *site_room(struct recorder *r, struct task *t, uint64_t pc, uint64_t gap) {
    struct mm *mm = t->mm;
    for (int i = 0; i < mm->sites.page_count; i++)
        if (within_2g(mm->sites.pages[i].start, pc) && mm->sites.pages[i].used + SITE_STUB <= SITE_PAGES)
            return &mm->sites.pages[i];
    return gap ? site_page_new(r, t, gap) : NULL;
}

uint64_t preempt_stub_room(struct recorder *r, struct task *t, uint64_t pc) {
    struct mapping m;
    uint64_t gap;
    struct site_page *page = mapping_at(t, pc, &m, &gap) ? site_room(r, t, pc, gap) : NULL;
    if (!page) return 0;
    page->used += SITE_STUB;
    return page->start + page->used - SITE_STUB;
}

// One iteration of the loop that t is in: steps until a pc comes back. False: a landmark came first.
static bool find_iteration(struct recorder *r, struct task *t, struct round *iteration,
                           struct user_regs_struct *regs, size_t *first) {
    iteration->count = 0;
    *first = 0;
    for (int n = 0; n < MAX_STEPS; n++) {
        if (!own_code(t->mm, regs->rip)) {
            for (size_t i = 0; i < iteration->count; i++)
                if (iteration->pcs[i] == regs->rip) {
                    *first = i;
                    return true;
                }
            iteration->pcs[iteration->count++] = regs->rip;
        }
        if (!step(r, t, regs)) return false;
    }
    return true; // long code without a repeated pc: all of it is "the iteration"
}

// Steps until t is at `address`, collecting what one iteration writes on the way. False: a landmark came first, or
// it is not reached.
static bool walk_to(struct recorder *r, struct task *t, uint64_t address, struct user_regs_struct *regs,
                    struct words *w, bool *landmark) {
    for (int n = 0; n < MAX_STEPS; n++) {
        if (regs->rip == address && n) return true;
        if (!own_code(t->mm, regs->rip)) add_words(t, regs, w);
        w->steps++;
        if (!step(r, t, regs)) {
            *landmark = true;
            return false;
        }
    }
    return regs->rip == address;
}

// A task that stands in the middle of the bytes to be replaced would go on in the middle of the jump. It
// stands at a landmark, so this is an instruction behind a syscall or a fault. A breakpoint's byte must stay.
static bool others_inside(struct recorder *r, struct task *t, const struct loop_site *site) {
    if (breakpoints_within(t->mm, site->address, site->address + loop_site_reach(site))) return true;
    for (struct task *o = r->tasks; o; o = o->next)
        if (o != t && o->mm == t->mm && o->landmark.rip > site->address &&
            o->landmark.rip < site->address + site->patch_len)
            return true;
    return false;
}

// A place for a counting stub in one of the functions of the iteration, the loop's own first. *page gets the stub's page.
static bool choose_site(struct recorder *r, struct task *t, const struct round *iteration, size_t first,
                        struct loop_site *site, struct site_page **page) {
    enum { FUNCTIONS = 16 };
    struct {
        uint64_t from, to;
    } tried[FUNCTIONS];
    scoped_free uint64_t *pcs = malloc(sizeof iteration->pcs);
    rf_assert(pcs);
    int count = 0;
    for (size_t i = first; i < iteration->count && count < FUNCTIONS; i++) {
        uint64_t pc = iteration->pcs[i], gap, from, to;
        bool known = false;
        for (int k = 0; k < count; k++)
            known |= pc >= tried[k].from && pc < tried[k].to;
        struct mapping m;
        if (known || !mapping_at(t, pc, &m, &gap)) continue;
        function_range(&m, pc, &from, &to);
        tried[count].from = from ? from : pc;
        tried[count++].to = from ? to : pc + 1;
        size_t n = 0;
        for (size_t k = first; k < iteration->count; k++)
            if (iteration->pcs[k] >= tried[count - 1].from && iteration->pcs[k] < tried[count - 1].to)
                pcs[n++] = iteration->pcs[k];
        *page = site_room(r, t, pc, gap);
        if (t->state != TASK_READY) return false; // killed on the way
        if (!*page) continue;
        const struct code_memory memory = {task_read, t};
        const struct loop_iteration executed = {pcs, n, from, to};
        const struct loop_counter counter = {(*page)->start + (*page)->used, ANNEX_COUNT, ANNEX_LIMIT};
        if (!loop_site_build(&memory, &executed, &counter, site) && !others_inside(r, t, site)) return true;
    }
    return false;
}

// ---- a place for a stub where all instructions are short, or not all ways into them are known

// Heaps and stacks grow; a page for stubs, which a jump of given distance needs, keeps away from them. The jump's address is
// somewhere in the first page.
static uint64_t mapping_in_the_way(void *context, uint64_t start, uint64_t end) {
    const struct task *t = context;
    enum { GUARD = 4 << 20 };
    scoped_maps struct proc_maps maps;
    struct proc_map m;
    uint64_t past = 0;
    proc_maps_open(&maps, t->tid);
    while (proc_maps_next(&maps, &m))
        if (m.start < end + SITE_PAGES + GUARD && m.end + GUARD + 4096 > start) past = m.end + GUARD + 4096;
    return past;
}

// An instruction of the iteration is replaced by a jump that the bytes behind it complete: these stay, so nothing must be known
// about who jumps there. *page: NULL if there is no room for a stub.
static bool punned_at(struct recorder *r, struct task *t, const struct probe_request *q,
                      struct loop_site *site, struct site_page **page) {
    struct probe_plan plan;
    if (!probe_plan(q, PROBE_PUNNED, 0, &plan)) return false;
    uint64_t at = loop_site_place(&plan, q->address, SITE_STUB, mapping_in_the_way, t);
    const struct loop_counter counter = {at, ANNEX_COUNT, ANNEX_LIMIT};
    if (!at || loop_site_build_planned(q->code, q->len, q->address, &plan, &counter, site) ||
        others_inside(r, t, site))
        return false;
    *page = site_page_new(r, t, page_down(at));
    if (*page) (*page)->used = at % PAGE;
    return true;
}

static bool choose_punned(struct recorder *r, struct task *t, const struct round *iteration, size_t first,
                          struct loop_site *site, struct site_page **page) {
    enum { TRIES = 64 };
    for (int beside_atomics = 0; beside_atomics < 2; beside_atomics++) {
        for (size_t i = first; i < iteration->count && i < first + TRIES; i++) {
            struct probe_request q = {.address = iteration->pcs[i], .len = sizeof q.code, .kind = PROBE_CALL};
            if (task_read(t, q.address, q.code, q.len) &&
                loop_site_jump_meets_atomic(q.code, q.len) == beside_atomics &&
                punned_at(r, t, &q, site, page))
                return *page;
        }
    }
    return false;
}

// Who executes `pause` waits for another CPU, as libgomp, glibc's adaptive mutexes and spin locks do: f3 90.
static bool executes_pause(struct task *t, const struct round *iteration, size_t first) {
    for (size_t i = first; i < iteration->count; i++) {
        uint8_t code[2];
        if (task_read(t, iteration->pcs[i], code, sizeof code) && code[0] == 0xf3 && code[1] == 0x90)
            return true;
    }
    return false;
}

static bool site_pauses(const struct mm *mm, uint64_t trap_pc) {
    for (int i = 0; i < mm->sites.count; i++)
        if (mm->sites.all[i].trap_pc == trap_pc) return mm->sites.all[i].pauses;
    return false;
}

static void make_landmark(struct recorder *r, struct task *t) {
    struct user_regs_struct regs;
    if (!tracee_get_regs(t->tid, &regs)) return;
    if (same_regs(&regs, &t->landmark) && !t->arrival_count && !t->stepped) {
        t->at_landmark = true;
        return;
    }
    // A loop that has a stub, or calls a library, makes a tick. With a STATE instead, and a second stub behind the first, the turns of a loop
    // that changes nothing would be counted, while replay takes the first one for the place.
    clock_set_limit(t->mm, 0);
    // Interrupted behind a breakpoint's int3, before its SIGTRAP: that comes first.
    if (t->mm->breaks.count && breakpoint_at(t->mm, regs.rip - 1) && !step(r, t, &regs)) return;
    size_t first;
    scoped_free struct round *iteration = malloc(sizeof *iteration);
    rf_assert(iteration);
    if (!find_iteration(r, t, iteration, &regs, &first)) return;
    uint64_t loop_head = iteration->pcs[first];
    t->spins = executes_pause(t, iteration, first);
    struct loop_site site;
    struct site_page *page = NULL;
    memset(&site, 0, sizeof site);
    bool have = choose_site(r, t, iteration, first, &site, &page) ||
                (t->state == TASK_READY && choose_punned(r, t, iteration, first, &site, &page));
    if (t->state != TASK_READY) return;
    scoped_free struct words *words = calloc(1, sizeof *words);
    rf_assert(words);
    bool landmark = false;
    // The place must be reached again within an iteration or two; without a place for a stub the loop's head
    // serves.
    while (words->visits < VISITS && words->steps < STEP_BUDGET) {
        bool there = walk_to(r, t, have ? site.address : loop_head, &regs, words, &landmark);
        if (landmark) return;
        look_at_words(t, words);
        if (!there) {
            have = false;
            break;
        }
        // The way to the first visit may be long by itself (python3's first iteration of a loop was). One visit tells no
        // counter from the rest: replay then took minutes to look at each second iteration's digest.
        if (words->visits == 1) words->steps = 0;
    }
    canonical_regs(&regs);
    log_state(r, t, &regs, words, have ? &site : NULL);
    if (have) {
        struct batch b;
        batch_init(r, &b, EV_PATCH, t);
        batch_write(r, &b, t, page->start + page->used, site.stub, site.stub_len);
        batch_write(r, &b, t, site.address, site.patch, site.patch_len);
        page->used += SITE_STUB;
        site.pauses = t->spins;
        sites_add(t->mm, &site);
        batch_log(r, t, &b);
    }
}

void preempt_clock(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    struct batch b;
    if (annex_contains(regs->rip)) {
        regs->r11 = 0;
        regs->eflags = ANNEX_TRAP_FLAGS(regs->eflags);
        tracee_set_regs(t->tid, regs);
    }
    t->spins = site_pauses(t->mm, regs->rip);
    batch_init(r, &b, EV_TICK, t);
    b.e.ret = (int64_t)clock_count(t->mm);
    b.e.flags |= EVF_REGS;
    b.e.regs = *regs;
    set_landmark_in_code(t, regs);
    t->at_tick = true;
    clock_set_limit(t->mm, ~0ull);
    batch_log(r, t, &b);
}

void preempt_busy(struct recorder *r, struct task *t) {
    struct user_regs_struct regs;
    // (What it was stopped for may be over: the calls that it has made by itself are known only now.)
    if (!t->interrupt_wanted && (hooks_interrupted(r, t) || !others_ready(r, t))) return;
    // Nobody will look for this place again.
    if (r->kept && tracee_get_regs(t->tid, &regs) && !own_code(t->mm, regs.rip)) {
        set_landmark_in_code(t, &regs);
        return;
    }
    t->stepping = true;
    make_landmark(r, t);
    end_stepping(t);
}
