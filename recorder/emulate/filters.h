// The seccomp filters of the program's own: the kernel does not get them (the recorder's filter is in it, and an action of
// theirs that goes before SECCOMP_RET_TRACE would hide the call), refork evaluates them. A chain, newest first; tasks that
// were born with the same filters share its older part.
#ifndef REFORK_RECORDER_EMULATE_FILTERS_H
#define REFORK_RECORDER_EMULATE_FILTERS_H

#include "recorder/emulate/bpf.h"

struct filters;

// A new filter in front of `older` (NULL: none), whose reference it takes over. NULL: the kernel would say ENOMEM (more than 32768
// instructions in all, 4 counted for each filter besides).
struct filters *filters_add(struct filters *older, const struct sock_filter *code, size_t length);
// One more reference; NULL is allowed in these three.
struct filters *filters_ref(struct filters *f);
void filters_unref(struct filters *f);
// Is `part` f, or an older part of it?
bool filters_include(const struct filters *f, const struct filters *part);
unsigned filters_count(const struct filters *f);
// What all of them say together: the action that goes before the others, of the newest filter that says so.
uint32_t filters_run(const struct filters *f, const struct seccomp_data *data);

#endif
