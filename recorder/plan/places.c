// The places that a schedule names: found in modules as these are mapped, and what a task does that comes there.
#include "recorder/plan/places.h"

#include "core/elf/elf_module.h"
#include "core/elf/elf_functions.h"
#include "core/path.h"
#include "recorder/hooks.h"
#include "recorder/log.h"
#include "recorder/plan/gate.h"
#include "recorder/plan/roles.h"
#include "recorder/plan/task_plan.h"
#include "recorder/space.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static bool module_is(const struct code_place *p, const char *name) {
    if (!p->module[0]) return true;
    return p->module[0] == '/' ? !strcmp(p->module, name) : !strcmp(base_name(p->module), base_name(name));
}

struct mapped {
    struct recorder *r;
    struct task *t;
    const struct elf_module *m;
    const char *name;
    uint64_t bias, start, end;
};

static bool locate_anywhere(const struct mapped *x, const struct code_place *p, uint64_t *address) {
    uint64_t vaddr = 0;
    if (!module_is(p, x->name) || (p->symbol[0] && !elf_module_symbol(x->m, p->symbol, &vaddr))) return false;
    *address = vaddr + p->offset + x->bias;
    return true;
}

static bool locate(const struct mapped *x, const struct code_place *p, uint64_t *address) {
    return locate_anywhere(x, p, address) && *address >= x->start && *address < x->end;
}

static void say_unusable(const struct mapped *x, const struct code_place *p, const char *why) {
    char text[600];
    code_place_format(p, text, sizeof text);
    log_note(x->r, x->t, "the schedule's place %s cannot be used: %s", text, why);
}

// Where fork handlers run: glibc's and musl's fork(), whatever they call it. vfork has no handlers, _Fork neither.
static const struct code_place fork_functions[] = {
    {.symbol = "fork"}, {.symbol = "__fork"}, {.symbol = "__libc_fork"}};

static void find_gate(const struct mapped *x, const struct gate_plan *plan) {
    uint64_t at;
    for (size_t i = 0; i < sizeof fork_functions / sizeof *fork_functions; i++)
        if (locate(x, &fork_functions[i], &at)) breakpoint_add(x->t, at, BREAK_FORK, true);
    if (plan->at_site && locate(x, &plan->fork_site, &at)) breakpoint_add(x->t, at, BREAK_SITE, false);
    if (plan->has_word && (plan->word.module[0] || plan->word.symbol[0]) &&
        locate_anywhere(x, &plan->word, &at))
        gate_word(x->r, at);
    for (size_t i = 0; i < plan->from_count; i++)
        if (locate(x, &plan->from[i], &at)) gate_from(x->r, at);
    if (locate(x, &plan->acquire, &at))
        gate_site(x->r, breakpoint_add(x->t, at, BREAK_ACQUIRE, gate_acquire_matters(x->r)));
}

static void find_places(const struct mapped *x) {
    const struct schedule *s = x->r->options->schedule;
    uint64_t at;
    if (x->r->gate && gate_wants_sites(x->r)) find_gate(x, &s->gate);
    for (size_t i = 0; i < s->yield_count; i++) {
        if (!locate(x, &s->yields[i].place, &at)) continue;
        const char *why = breakpoint_add(x->t, at, BREAK_YIELD, true);
        if (why)
            say_unusable(x, &s->yields[i].place, why);
        else
            breakpoint_at(x->t->mm, at)->yield = i;
    }
    for (size_t i = 0; i < s->segment_place_count; i++) {
        if (!locate(x, &s->segment_places[i].place, &at)) continue;
        const char *why = breakpoint_add(x->t, at, BREAK_SEGMENT, true);
        if (why)
            say_unusable(x, &s->segment_places[i].place, why);
        else
            breakpoint_at(x->t->mm, at)->segments |= 1ull << i;
    }
}

static void mapped(struct recorder *r, struct task *t, const struct module_facts *facts,
                   const struct piece_map *map, const struct mapped_file *file) {
    struct mapped x = {
        .r = r, .t = t, .name = file->name, .start = map->address, .end = map->address + map->length};
    struct stat st;
    if (!module_bias(facts, map->offset, map->address, PROT_READ | PROT_EXEC, &x.bias) ||
        fstat(file->fd, &st) < 0 || st.st_size <= 0)
        return;
    void *image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, file->fd, 0);
    if (image == MAP_FAILED) return;
    struct elf_module *m = elf_module_parse(image, (size_t)st.st_size);
    x.m = m;
    if (m) find_places(&x);
    if (m) elf_module_free(m);
    munmap(image, (size_t)st.st_size);
}

static enum break_wish at_breakpoint(struct recorder *r, struct task *t, const struct breakpoint *b,
                                     const struct user_regs_struct *regs) {
    (void)regs;
    if (!(b->on & BREAK_YIELD)) return WISH_PASS;
    const struct schedule_yield *y = &r->options->schedule->yields[b->yield];
    if (++plan_of(t)->yield_arrivals[b->yield] % y->every) return WISH_PASS;
    return y->behind ? WISH_BEHIND : WISH_LAND;
}

static void landed(struct recorder *r, struct task *t, const struct breakpoint *b) {
    (void)r;
    if (b->on & BREAK_YIELD) t->yielded = true;
}

static const struct recorder_hooks places_hooks = {
    .mapped = mapped,
    .at_breakpoint = at_breakpoint,
    .landed = landed,
};

void places_begin(struct recorder *r) {
    hooks_add(r, &places_hooks);
}
