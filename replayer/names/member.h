// Objects that lie in no named variable: which member of which type is at an address.
#ifndef REFORK_REPLAYER_NAMES_MEMBER_H
#define REFORK_REPLAYER_NAMES_MEMBER_H

#include "replayer/names/symbols.h"

// "Config::mutex_", "queue::locks[2]": the debug information of the functions on the task's stack (`regs`: of the task) says
// of which types their arguments and variables are, where `this` and other pointers point to (to a block of malloc: to all its
// elements), and what can be reached from there; then the program's global variables are looked at ("*table_lock": one that
// points to it). A variable of a function on the stack that is no object has its own name. False: nothing that is known leads to the address.
bool member_name(struct symbols *s, const struct view *v, const struct user_regs_struct *regs,
                 uint64_t address, char *out, size_t size);
// "config.mutex_ (Config::mutex_)": the member at `address` of the static variable that begins `offset` bytes before and is called
// `name`. False: its type is not known, or has no member there.
bool member_of_variable(struct symbols *s, const struct view *v, const char *name, uint64_t address,
                        uint64_t offset, char *out, size_t size);

#endif
