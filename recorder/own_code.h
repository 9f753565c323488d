// refork's own code in the program: the annex, and the stubs of loop sites.
#ifndef REFORK_RECORDER_OWN_CODE_H
#define REFORK_RECORDER_OWN_CODE_H

#include "core/loop_site.h"

#include <stdbool.h>
#include <stdint.h>

struct mm;

enum { SITE_PAGES = 16 * 4096 };

// Stubs of loop sites, mapped near the code that they serve.
struct loop_sites {
    struct site_page {
        uint64_t start, used;
    } pages[32];
    int page_count;
    struct loop_site *all;
    int count;
};

void sites_add(struct mm *mm, const struct loop_site *site);
void sites_fork(struct mm *child, const struct mm *parent);
void sites_release(struct mm *mm);

bool in_site_stub(const struct mm *mm, uint64_t pc);
bool own_code(const struct mm *mm, uint64_t pc); // refork's own, put into the program
// Of own_code, what is not an instruction of the program that was displaced there.
bool own_instruction(const struct mm *mm, uint64_t pc);

#endif
