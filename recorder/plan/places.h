// What is to happen at the places that a schedule names.
#ifndef REFORK_RECORDER_PLAN_PLACES_H
#define REFORK_RECORDER_PLAN_PLACES_H

#include "recorder/breakpoints.h"
#include "recorder/modules.h"

#include <sys/user.h>

// An executable file has been mapped into t's space.
void places_mapped(struct recorder *r, struct task *t, const struct module_facts *f, int fd, const char *name,
                   uint64_t address, uint64_t length, uint64_t offset);
enum break_wish breakpoint_wish(struct recorder *r, struct task *t, const struct breakpoint *b,
                                const struct user_regs_struct *regs);
// The landmark has been made.
void breakpoint_landed(struct recorder *r, struct task *t, const struct breakpoint *b);

#endif
