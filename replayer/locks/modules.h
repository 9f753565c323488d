// Where locks are taken and released in a module: its lock sites, each with the family of the lock function that it
// is in, and functions that the user named.
#ifndef REFORK_REPLAYER_LOCKS_MODULES_H
#define REFORK_REPLAYER_LOCKS_MODULES_H

#include "core/error.h"
#include "core/elf/lock_sites.h"
#include "replayer/engine/breakpoints.h"
#include "replayer/locks/words.h"
#include "replayer/timeline.h"

// One line of a --functions file.
enum lock_call_kind { LOCK_CALL_ACQUIRE, LOCK_CALL_TRY, LOCK_CALL_RELEASE };
struct lock_function {
    enum lock_call_kind kind;
    char name[256];
    int argument;    // 1 to 6: which one is the lock
    bool fails_zero; // TRY: 0 says that it failed (else that it succeeded)
};
struct lock_functions {
    struct lock_function *v;
    size_t count;
};
// Reads the text of such a file; -1: names the line.
int lock_functions_parse(const char *text, const char *path, struct lock_functions *out,
                         struct rf_error *err);

enum lock_site_kind { LOCK_SITE_ATOMIC, LOCK_SITE_STORE, LOCK_SITE_CALL };
struct lock_module_site {
    uint64_t vaddr;
    uint8_t kind;      // enum lock_site_kind
    uint8_t length;    // 0: unknown
    uint8_t family;    // enum lock_family, also LOCK_NONE
    bool blind;        // ATOMIC: the code does not look at what was there before: a store, not a try
    uint16_t function; // CALL: index of the function
};

struct lock_module {
    struct elf_module *elf; // NULL: no ELF file
    bool libc;              // has the C library's code
    struct lock_module_site *sites;
    size_t count;
};
// The module of a mapping that is announced (break_client.mapped). `functions`: those that the user named, or NULL.
// `cache`: scanned sites may be read from and written to the user's cache. The timeline must outlive it.
void lock_module_read(struct timeline *t, struct replay *r, const struct break_mapping *mapping,
                      const struct lock_functions *functions, bool cache, struct lock_module *out);
void lock_module_release(struct lock_module *m);

#endif
