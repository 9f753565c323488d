#include "recorder/own_code.h"

#include "core/annex.h"
#include "core/array.h"
#include "core/error.h"
#include "recorder/space.h"

#include <stdlib.h>
#include <string.h>

void sites_add(struct mm *mm, const struct loop_site *site) {
    array_push(mm->sites.all, mm->sites.count, *site);
}

void sites_fork(struct mm *child, const struct mm *parent) {
    child->sites = parent->sites;
    child->sites.all = array_copy(parent->sites.all, (size_t)parent->sites.count, sizeof *child->sites.all);
    rf_assert(child->sites.all || !parent->sites.count);
}

void sites_release(struct mm *mm) {
    free(mm->sites.all);
}

bool in_site_stub(const struct mm *mm, uint64_t pc) {
    for (int i = 0; i < mm->sites.page_count; i++)
        if (pc >= mm->sites.pages[i].start && pc < mm->sites.pages[i].start + SITE_PAGES) return true;
    return false;
}

bool own_code(const struct mm *mm, uint64_t pc) {
    return annex_contains(pc) || in_site_stub(mm, pc);
}

bool own_instruction(const struct mm *mm, uint64_t pc) {
    if (!own_code(mm, pc)) return false;
    for (int i = 0; i < mm->sites.count; i++) {
        const struct loop_site *s = &mm->sites.all[i];
        for (int k = 0; k < s->map_count; k++)
            if (pc == s->stub_address + s->map[k].stub) return false;
    }
    return true;
}
