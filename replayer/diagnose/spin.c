// A thread that runs: does it compute, or does it spin on a word that nobody is left to change? Its registers are looked at
// again and again. What computes has other registers each time; a loop that only reads one word has, at each pc, always the
// same ones. Single steps would prove it, but they leave the trap flag behind if refork is killed meanwhile.
#include "replayer/diagnose/spin.h"

#include "core/abi.h"
#include "core/code_operands.h"
#include "replayer/diagnose/live.h"
#include "replayer/diagnose/wait.h"

#include <string.h>
#include <sys/mman.h>

enum {
    SAMPLES = 40,
    REPEATS = 20, // samples at a pc that had been seen before
    CODE = 15,    // the longest instruction
    LOOP = 256,   // bytes of code
};

static bool same_state(const struct user_regs_struct *a, const struct user_regs_struct *b) {
    uint64_t x[ABI_REGISTERS], y[ABI_REGISTERS];
    abi_registers(a, x);
    abi_registers(b, y);
    return a->eflags == b->eflags && !memcmp(x, y, sizeof x);
}

static bool repeats(const struct user_regs_struct *samples, size_t n) {
    size_t seen = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++) {
            if (samples[k].rip != samples[i].rip) continue;
            if (!same_state(&samples[k], &samples[i])) return false;
            seen++;
            break;
        }
    return seen >= REPEATS;
}

// The loop as one piece of code, from where its jump back goes to that jump. An interrupt comes between few of its
// instructions, so most of them were never seen as a pc.
static bool find_loop(const struct view *v, const struct user_regs_struct *samples, size_t n, uint64_t *start,
                      uint64_t *end) {
    uint64_t first = UINT64_MAX, last = 0;
    for (size_t i = 0; i < n; i++) {
        if (samples[i].rip < first) first = samples[i].rip;
        if (samples[i].rip > last) last = samples[i].rip;
    }
    for (uint64_t pc = first; pc - first < LOOP;) {
        uint8_t code[CODE];
        uint64_t target;
        int length = v->read(v->context, pc, code, CODE) ? code_length(code, CODE, pc, &target) : 0;
        if (!length) return false;
        if (pc >= last && target && target <= first && first - target < LOOP) {
            *start = target;
            *end = pc;
            return true;
        }
        pc += (uint64_t)length;
    }
    return false;
}

// The one word that the loop touches outside of the stack, whatever sample's registers are taken; 0: none, or several.
static uint64_t spin_word(const struct view *v, const struct user_regs_struct *samples, size_t n) {
    uint64_t word = 0, start, end, target;
    if (!find_loop(v, samples, n, &start, &end)) return 0;
    const struct view_map *stack = view_find(v, samples[0].rsp);
    for (uint64_t pc = start; pc <= end;) {
        uint8_t code[CODE];
        int length = v->read(v->context, pc, code, CODE) ? code_length(code, CODE, pc, &target) : 0;
        if (!length) return 0;
        for (size_t i = 0; i < n; i++) {
            struct memory_operand operands[4];
            struct user_regs_struct regs = samples[i];
            regs.rip = pc;
            int count = code_memory_operands(code, CODE, &regs, operands);
            if (count < 0) return 0;
            for (int k = 0; k < count; k++) {
                uint64_t address = operands[k].address;
                if (stack && address >= stack->start && address < stack->end) continue;
                if (word && word != address) return 0;
                word = address;
            }
        }
        pc += (uint64_t)length;
    }
    return word;
}

static bool shared(const struct snapshot *s, uint64_t address) {
    const struct view_map *map = view_find(&s->view, address);
    return !map || !(map->prot & PROT_WRITE) || s->shared[map - s->view.maps];
}

static void look(struct diagnosis *d, struct party *p, size_t thread) {
    struct user_regs_struct samples[SAMPLES];
    struct wait *w = &p->waits[thread];
    struct snapshot *s = p->snapshot;
    size_t n = snapshot_sample(s, thread, samples, SAMPLES);
    if (n < SAMPLES || !repeats(samples, n)) return;
    uint64_t word = spin_word(&s->view, samples, n);
    if (!word || shared(s, word)) return;
    struct snapshot_thread t = s->threads[thread];
    t.regs = samples[n - 1];
    w->stack = party_stack(d, p, &t, &w->signal_handler);
    if (w->signal_handler) return;
    if (t.tid != s->pid) stack_start_routine(&w->stack, w->task.start_routine, sizeof w->task.start_routine);
    uint32_t value = 0;
    if (!s->view.read(s->view.context, word, &value, sizeof value)) return;
    lock_recognise_polled(w->stack.frames, w->stack.count, word, value, sizeof value, &w->ref);
    w->spins = true;
    party_name_lock(d, p, w);
}

void spin_diagnose(struct diagnosis *d, struct party *p) {
    const struct snapshot *s = p->snapshot;
    size_t running = NO_THREAD, others = 0;
    for (size_t i = 0; i < s->thread_count; i++) {
        if (wait_is_closed(&p->waits[i])) continue;
        others++;
        if (s->threads[i].running) running = i;
    }
    if (others == 1 && running != NO_THREAD && s->complete && s->alone) look(d, p, running);
}
