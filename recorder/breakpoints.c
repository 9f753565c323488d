// Breakpoints: "the n-th time that this task comes to this address since its last landmark" is a landmark (BREAK).
// An int3 is in memory only while a task of its space runs user code. So a fork copies none, the kernel reads none,
// and everything here that looks at code (loop sites, trapped instructions, digests) sees the program's own bytes.
// An arrival is an instruction executed that leads to the address: a task that starts there, because its last
// landmark is there, has not come to it.
#include "recorder/breakpoints.h"

#include "core/error.h"
#include "core/annex.h"
#include "core/array.h"
#include "core/proc_maps.h"
#include "recorder/own_code.h"
#include "recorder/space.h"
#include "recorder/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct breakpoint *breakpoint_at(struct mm *mm, uint64_t pc) {
    for (int i = 0; i < mm->breaks.count; i++)
        if (mm->breaks.all[i].address == pc && mm->breaks.all[i].on) return &mm->breaks.all[i];
    return NULL;
}

bool breakpoints_within(const struct mm *mm, uint64_t start, uint64_t end) {
    for (int i = 0; i < mm->breaks.count; i++)
        if (mm->breaks.all[i].address >= start && mm->breaks.all[i].address < end) return true;
    return false;
}

// What speaks against an int3 in the mapping of `address`; NULL: nothing.
static const char *unsuitable(struct task *t, uint64_t address) {
    struct proc_map map;
    if (!proc_maps_find(t->tid, address, &map)) return "nothing is mapped there";
    if (!(map.prot & PROT_EXEC)) return "no code is mapped there";
    // A page that an int3 was in is a private copy for good. In code that is not written to nobody can tell
    // (memory_digest leaves it out).
    if (map.prot & PROT_WRITE) return "the program can write to its code there";
    if (map.shared) return "its code is shared with other processes there";
    return NULL;
}

const char *breakpoint_add(struct task *t, uint64_t address, unsigned role, bool on) {
    struct mm *mm = t->mm;
    for (int i = 0; i < mm->breaks.count; i++)
        if (mm->breaks.all[i].address == address) {
            mm->breaks.all[i].roles |= role;
            if (on) mm->breaks.all[i].on |= role;
            return NULL;
        }
    if (annex_contains(address) || in_site_stub(mm, address)) return "it is in refork's own code";
    for (int i = 0; i < mm->sites.count; i++) {
        const struct loop_site *site = &mm->sites.all[i];
        if (address > site->address && address - site->address < loop_site_reach(site))
            return "refork's own jump is there";
    }
    const char *why = unsuitable(t, address);
    uint8_t original;
    if (why) return why;
    if (!tracee_read(t->tid, mm->mem_fd, address, &original, 1)) return "it cannot be read";
    if (original == 0xcc) return "refork carries out the instruction there itself";
    array_push(mm->breaks.all, mm->breaks.count,
               (struct breakpoint){address, original, role, on ? role : 0, 0, 0});
    return NULL;
}

void breakpoints_switch(struct mm *mm, unsigned role, bool on) {
    for (int i = 0; i < mm->breaks.count; i++) {
        struct breakpoint *b = &mm->breaks.all[i];
        b->on = on ? b->on | (b->roles & role) : b->on & ~role;
    }
}

void breakpoints_unmapped(struct mm *mm, uint64_t start, uint64_t end) {
    for (int i = mm->breaks.count; i-- > 0;)
        if (mm->breaks.all[i].address >= start && mm->breaks.all[i].address < end)
            mm->breaks.all[i] = mm->breaks.all[--mm->breaks.count];
}

void breakpoints_fork(struct mm *child, const struct mm *parent) {
    if (!parent->breaks.count) return;
    child->breaks.all =
        array_copy(parent->breaks.all, (size_t)parent->breaks.count, sizeof *child->breaks.all);
    rf_assert(child->breaks.all);
    child->breaks.count = parent->breaks.count;
}

void breakpoints_plant(struct mm *mm, bool in) {
    for (int i = 0; i < mm->breaks.count; i++) {
        const struct breakpoint *b = &mm->breaks.all[i];
        // Fails when the program is gone; then nobody comes here.
        if (b->on) tracee_write(mm->mem_fd, b->address, in ? (const void *)"\xcc" : &b->original, 1);
    }
}

void breakpoints_release(struct mm *mm) {
    free(mm->breaks.all);
}
