// Objects that lie in no named variable: which member of which type is at an address.
#ifndef REFORK_REPLAYER_NAMES_MEMBER_H
#define REFORK_REPLAYER_NAMES_MEMBER_H

#include "replayer/names/symbols.h"

// "Config::mutex_", "queue::locks[2]": the debug information of the functions on the task's stack (`regs`: of the task) says
// of which types their arguments and variables are, where `this` and other pointers point to, and what can be reached from
// there; then the program's global variables are looked at ("*table_lock": one that points to it). False: nothing that is known leads to the address.
bool member_name(struct symbols *s, const struct view *v, const struct user_regs_struct *regs,
                 uint64_t address, char *out, size_t size);

#endif
