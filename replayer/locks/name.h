// What a lock is called: the variable that it is in, else where it lies.
#ifndef REFORK_REPLAYER_LOCKS_NAME_H
#define REFORK_REPLAYER_LOCKS_NAME_H

#include "replayer/names/symbols.h"

struct lock_allocation;
struct finding_lock {
    uint64_t address;   // 0: none
    char kind[32];      // "pthread_mutex", "futex", ...
    bool is_data;       // no lock at all, but data that was being changed; the verdict's
    char symbol[256];   // "log_mutex", "queue+16"; "" when unknown
    char declared[256]; // "file.c:12" or ""
    bool unnamed;       // in no named variable: `symbol` only says where it is
    bool of_this_run;   // `symbol` has an address or a TID in it: another run has another
    const struct lock_allocation *allocated; // of an unnamed one, the verdict's; NULL: not known
};

// Fills *out for the lock at `address` (0: only `kind`) of the view's process, `allocated` not. `shared`: it is in
// memory that processes share.
void lock_name(struct symbols *s, const struct view *v, const char *kind, uint64_t address, bool shared,
               struct finding_lock *out);

// Is it the array of words that libstdc++ shares among all objects whose size is no futex's?
bool lock_is_waiter_pool(const struct data_symbol *symbol);

#endif
