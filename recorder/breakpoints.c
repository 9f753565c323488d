// Breakpoints: "the n-th time that this task comes to this address since its last landmark" is a landmark (BREAK).
// An int3 is in memory only while a task of its space runs user code. So a fork copies none, the kernel reads none,
// and everything here that looks at code (loop sites, trapped instructions, digests) sees the program's own bytes.
// An arrival is an instruction executed that leads to the address: a task that starts there, because its last
// landmark is there, has not come to it.
#include "core/annex.h"
#include "recorder/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct breakpoint *breakpoint_at(struct mm *mm, uint64_t pc) {
    for (int i = 0; i < mm->break_count; i++)
        if (mm->breaks[i].address == pc && mm->breaks[i].on) return &mm->breaks[i];
    return NULL;
}

bool breakpoints_within(const struct mm *mm, uint64_t start, uint64_t end) {
    for (int i = 0; i < mm->break_count; i++)
        if (mm->breaks[i].address >= start && mm->breaks[i].address < end) return true;
    return false;
}

// What speaks against an int3 in the mapping of `address`; NULL: nothing.
static const char *unsuitable(struct task *t, uint64_t address) {
    char path[64], line[4400], prot[8] = "";
    snprintf(path, sizeof path, "/proc/%d/maps", t->tid);
    FILE *f = fopen(path, "re");
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        uint64_t start, end;
        if (sscanf(line, "%lx-%lx %7s", &start, &end, prot) == 3) found = address >= start && address < end;
    }
    if (f) fclose(f);
    if (!found) return "nothing is mapped there";
    if (prot[2] != 'x') return "no code is mapped there";
    // A page that an int3 was in is a private copy for good. In code that is not written to nobody can tell
    // (memory_digest leaves it out).
    if (prot[1] == 'w') return "the program can write to its code there";
    if (prot[3] != 'p') return "its code is shared with other processes there";
    return NULL;
}

const char *breakpoint_add(struct recorder *r, struct task *t, uint64_t address, unsigned role, bool on) {
    (void)r;
    struct mm *mm = t->mm;
    for (int i = 0; i < mm->break_count; i++)
        if (mm->breaks[i].address == address) {
            mm->breaks[i].roles |= role;
            if (on) mm->breaks[i].on |= role;
            return NULL;
        }
    if (annex_contains(address) || in_site_stub(mm, address)) return "it is in refork's own code";
    const char *why = unsuitable(t, address);
    uint8_t original;
    if (why) return why;
    if (!tracee_read(t->tid, mm->mem_fd, address, &original, 1)) return "it cannot be read";
    if (original == 0xcc) return "refork carries out the instruction there itself";
    if (mm->break_count == mm->break_room) {
        mm->break_room = mm->break_room ? mm->break_room * 2 : 8;
        mm->breaks = realloc(mm->breaks, (size_t)mm->break_room * sizeof *mm->breaks);
        rf_assert(mm->breaks);
    }
    mm->breaks[mm->break_count++] = (struct breakpoint){address, original, role, on ? role : 0, 0, 0};
    return NULL;
}

void breakpoints_switch(struct mm *mm, unsigned role, bool on) {
    for (int i = 0; i < mm->break_count; i++) {
        struct breakpoint *b = &mm->breaks[i];
        b->on = on ? b->on | (b->roles & role) : b->on & ~role;
    }
}

void breakpoints_unmapped(struct mm *mm, uint64_t start, uint64_t end) {
    for (int i = mm->break_count; i-- > 0;)
        if (mm->breaks[i].address >= start && mm->breaks[i].address < end)
            mm->breaks[i] = mm->breaks[--mm->break_count];
}

void breakpoints_fork(struct mm *child, const struct mm *parent) {
    if (!parent->break_count) return;
    child->breaks = malloc((size_t)parent->break_count * sizeof *child->breaks);
    rf_assert(child->breaks);
    memcpy(child->breaks, parent->breaks, (size_t)parent->break_count * sizeof *child->breaks);
    child->break_count = child->break_room = parent->break_count;
}

void breakpoints_plant(struct mm *mm, bool in) {
    for (int i = 0; i < mm->break_count; i++) {
        const struct breakpoint *b = &mm->breaks[i];
        // Fails when the program is gone; then nobody comes here.
        if (b->on) tracee_write(mm->mem_fd, b->address, in ? (const void *)"\xcc" : &b->original, 1);
    }
}

static uint64_t count_arrival(struct task *t, uint64_t address) {
    int i = 0;
    while (i < t->arrival_count && t->arrivals[i].address != address)
        i++;
    if (i == t->arrival_room) {
        t->arrival_room = i ? i * 2 : 4;
        t->arrivals = realloc(t->arrivals, (size_t)t->arrival_room * sizeof *t->arrivals);
        rf_assert(t->arrivals);
    }
    if (i == t->arrival_count) t->arrivals[t->arrival_count++] = (struct arrivals){address, 0};
    return ++t->arrivals[i].count;
}

static void log_break(struct recorder *r, struct task *t, const struct user_regs_struct *regs,
                      const struct breakpoint *b, uint64_t count, enum break_place place) {
    struct batch batch;
    batch_init(&batch, EV_BREAK, t);
    batch.e.flags |= EVF_REGS;
    batch.e.regs = *regs;
    batch.e.regs.eflags &= ~EFLAGS_IGNORED;
    batch.e.nr = place;
    batch.e.ret = (int64_t)b->address;
    batch.e.aux = count;
    set_landmark(t, &batch.e.regs);
    batch_log(r, t, &batch);
    breakpoint_landed(r, t, b);
    if (signals_deliverable(r, t)) signal_deliver(r, t, SIGNAL_AT_LANDMARK);
}

bool breakpoint_arrived(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    const struct breakpoint *at = breakpoint_at(t->mm, regs->rip);
    if (!at) return true;
    const struct breakpoint b = *at; // the list may change
    uint64_t count = count_arrival(t, b.address);
    t->on_break = true;
    enum break_wish wish = breakpoint_wish(r, t, &b, regs);
    if (wish == WISH_PASS) return true;
    int stepped = STEP_HELD;
    while (wish == WISH_BEHIND && stepped == STEP_HELD)
        stepped = step_raw(r, t, regs);
    if (stepped == STEP_GONE) return false; // the instruction faulted, or t was killed
    log_break(r, t, regs, &b, count, wish == WISH_BEHIND ? BREAK_BEHIND : BREAK_BEFORE);
    return false;
}

void breakpoint_trap(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    int tid = t->tid;
    bool stepping = t->stepping;
    regs->rip--;
    if (!tracee_set_regs(t->tid, regs)) return; // killed
    t->stepping = true;
    breakpoint_arrived(r, t, regs);
    if (task_find(r, tid) != t) return;
    t->stepping = stepping;
    if (!stepping && t->state == TASK_READY) end_stepping(t);
}

bool breakpoints_leave(struct recorder *r, struct task *t) {
    struct user_regs_struct regs;
    if (!t->on_break && !(t->at_landmark && breakpoint_at(t->mm, t->landmark.rip))) return true;
    if (!tracee_get_regs(t->tid, &regs)) return true;
    int tid = t->tid;
    t->on_break = t->stepping = true;
    bool stepped = true;
    while (stepped && t->on_break)
        stepped = step(r, t, &regs);
    if (task_find(r, tid) != t) return false;
    t->stepping = false;
    if (t->state == TASK_READY) end_stepping(t);
    return stepped;
}
