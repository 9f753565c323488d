// One iteration of a loop, instruction by instruction: which way it went, what its branches went by, which memory it
// read and wrote.
#include "recorder/waits/iteration.h"

#include "core/abi.h"
#include "core/annex.h"
#include "core/array.h"
#include "core/error.h"
#include "core/code_operands.h"
#include "core/proc_maps.h"
#include "recorder/space.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>

void iteration_begin(struct iteration *iteration, uint64_t syscall_pc) {
    iteration->syscall_pc = syscall_pc;
    iteration->path = 0;
    iteration->has_pending = iteration->opaque = iteration->pauses = false;
    iteration->decision_count = iteration->access_count = 0;
    iteration->steps = 0;
}

static void mix(uint64_t *hash, uint64_t value) {
    *hash = (*hash ^ value) * 0x9e3779b97f4a7c15ull;
    *hash ^= *hash >> 29;
}

void iteration_mix(struct iteration *iteration, uint64_t value) {
    mix(&iteration->path, value);
}

static bool read_task(void *context, uint64_t address, void *buffer, size_t len) {
    struct task *t = context;
    return tracee_read(t->tid, t->mm->mem_fd, address, buffer, len);
}

static uint64_t value_now(struct task *t, const struct access *a) {
    uint64_t value = 0;
    tracee_read(t->tid, t->mm->mem_fd, a->address, &value, a->size);
    return value;
}

static struct access *access_at(struct task *t, struct iteration *iteration, uint64_t address, uint8_t size) {
    for (int i = 0; i < iteration->access_count; i++)
        if (iteration->accesses[i].address == address && iteration->accesses[i].size == size) {
            struct access *a = &iteration->accesses[i];
            a->changed |= a->atomic && value_now(t, a) != a->before;
            return a;
        }
    if (iteration->access_count == ITERATION_ACCESSES) {
        iteration->opaque = true;
        return NULL;
    }
    struct access *a = &iteration->accesses[iteration->access_count++];
    *a = (struct access){.address = address, .size = size};
    if (!tracee_read(t->tid, t->mm->mem_fd, address, &a->before, size)) iteration->opaque = true;
    return a;
}

// Wide operands are taken word by word.
static void touch(struct task *t, struct iteration *iteration, const struct code_step *s, int index,
                  bool near_syscall) {
    const struct memory_operand *o = &s->operands[index];
    for (unsigned done = 0; done < o->size;) {
        uint8_t size = o->size - done < 8 ? (uint8_t)(o->size - done) : 8;
        struct access *a = access_at(t, iteration, o->address + done, size);
        done += size;
        if (!a) return;
        a->read |= !o->written || s->atomic;
        a->written |= o->written;
        a->atomic |= s->atomic;
        a->own |= s->hidden >> index & 1;
        a->decides |= s->sets_flags;
        a->wrapper |= near_syscall;
    }
}

void iteration_step(struct task *t, const struct user_regs_struct *regs, struct iteration *iteration) {
    uint8_t code[16];
    size_t len = sizeof code;
    struct code_step s;
    iteration->steps++;
    mix(&iteration->path, regs->rip);
    if (!tracee_read(t->tid, t->mm->mem_fd, regs->rip, code, len)) {
        len = next_page(regs->rip) - regs->rip;
        if (len >= sizeof code || !tracee_read(t->tid, t->mm->mem_fd, regs->rip, code, len)) {
            iteration->opaque = true;
            return;
        }
    }
    const struct code_memory memory = {read_task, t};
    if (!code_step(code, len, regs, NULL, &memory, &s)) {
        iteration->opaque = true;
        return;
    }
    struct user_fpregs_struct fp;
    if (s.needs_fp && ptrace(PTRACE_GETFPREGS, t->tid, 0, &fp) == 0)
        code_step(code, len, regs, &fp, &memory, &s);
    // glibc's wrappers look whether the process has threads, and at cancellation.
    uint64_t distance = regs->rip > iteration->syscall_pc ? regs->rip - iteration->syscall_pc
                                                          : iteration->syscall_pc - regs->rip;
    bool near_syscall = iteration->syscall_pc && distance < 1024;
    iteration->pauses |= s.pause;
    iteration->opaque |= s.operand_count < 0;
    for (int i = 0; i < s.operand_count; i++) {
        if (annex_contains(s.operands[i].address)) continue;
        mix(&iteration->path, s.operands[i].address);
        touch(t, iteration, &s, i, near_syscall);
    }
    if (s.reads_flags && iteration->has_pending) {
        iteration->has_pending = false;
        if (iteration->decision_count < ITERATION_DECISIONS)
            iteration->decisions[iteration->decision_count++] = iteration->pending;
        else
            iteration->opaque = true;
    }
    if (!s.sets_flags) return;
    iteration->has_pending = true;
    iteration->pending = (struct decision){
        .pc = regs->rip, .distance = s.distance, .ordered = s.ordered, .of_second = s.of_second};
}

bool iteration_restored(struct task *t, const struct iteration *iteration) {
    for (int i = 0; i < iteration->access_count; i++)
        if (iteration->accesses[i].written &&
            value_now(t, &iteration->accesses[i]) != iteration->accesses[i].before)
            return false;
    return true;
}

bool iteration_inputs_same(struct task *t, const struct iteration *iteration) {
    for (int i = 0; i < iteration->access_count; i++)
        if (!iteration->accesses[i].written &&
            value_now(t, &iteration->accesses[i]) != iteration->accesses[i].before)
            return false;
    return true;
}

// ---- which words

struct region {
    uint64_t start, end;
    bool writable, shared, anonymous;
};

static size_t regions_of(struct task *t, struct region **out) {
    struct proc_maps maps;
    struct proc_map map;
    struct region *all = NULL;
    size_t n = 0;
    proc_maps_open(&maps, t->tid);
    while (proc_maps_next(&maps, &map)) {
        struct region *g = array_add(all, n);
        *g = (struct region){
            .start = map.start, .end = map.end, .writable = map.prot & PROT_WRITE, .shared = map.shared};
        // MAP_SHARED | MAP_ANONYMOUS: reached by fork alone
        g->anonymous = !strncmp(map.name, "/dev/zero", 9) && (!map.name[9] || map.name[9] == ' ');
    }
    proc_maps_close(&maps);
    *out = all;
    return n;
}

enum { LOCK_SIZE = 40 }; // sizeof (pthread_mutex_t)

// A part of a lock that the loop takes and gives back itself: its kind, its owner.
static bool beside_own_lock(const struct iteration *iteration, const struct access *a) {
    for (int i = 0; i < iteration->access_count; i++) {
        const struct access *lock = &iteration->accesses[i];
        if (lock->changed && a->address > lock->address && a->address < lock->address + LOCK_SIZE)
            return true;
    }
    return false;
}

// How much a word tells of what the loop waits for; 0: nothing.
static int telling(const struct iteration *iteration, const struct access *a,
                   const struct user_regs_struct *regs) {
    if (!a->read || a->own || a->changed) return 0;
    // The thread's own block: errno, the cancellation state, the stack guard. Nobody else writes there.
    if (a->address >= regs->fs_base - 4096 && a->address < regs->fs_base + 4096) return 0;
    if (a->atomic) return 4;
    if (a->wrapper) return 0;
    if (beside_own_lock(iteration, a)) return 1;
    if (a->address >= regs->rsp - 65536 && a->address < regs->rsp + 4096) return a->decides ? 1 : 0;
    return a->decides ? 3 : 2;
}

int iteration_words(struct task *t, const struct iteration *iteration, struct word words[LOOP_WORDS],
                    bool *shared, bool *outside, bool *shared_written) {
    struct user_regs_struct regs;
    struct region *regions;
    int count = 0;
    *shared = *outside = *shared_written = false;
    if (!tracee_get_regs(t->tid, &regs)) return 0;
    size_t n = regions_of(t, &regions);
    for (int want = 4; want > 0; want--)
        for (int i = 0; i < iteration->access_count; i++) {
            const struct access *a = &iteration->accesses[i];
            const struct region *g = NULL;
            for (size_t k = 0; k < n && !g; k++)
                if (a->address >= regions[k].start && a->address < regions[k].end) g = &regions[k];
            bool same = !a->written || value_now(t, a) == a->before;
            if (g && g->shared && a->written && !same) *shared_written = true;
            // Also memory that the program reads alone may be written by another process.
            if (g && g->shared && a->read) {
                *shared = true;
                *outside |= !g->anonymous;
            }
            if (!g || !(g->writable || g->shared) || !same || telling(iteration, a, &regs) != want ||
                count == LOOP_WORDS)
                continue;
            words[count++] = (struct word){a->address, a->before, a->size, a->atomic};
        }
    free(regions);
    return count;
}
