// What glibc keeps about threads and fork handlers, read from a process' memory. The layouts are glibc's own
// description of itself for debuggers (the _thread_db_* variables, nptl_db/structs.def) and its symbols: without a
// symbol table of libc (libc6-dbg) nothing is known, and nothing is said.
#ifndef REFORK_REPLAYER_VERDICT_GLIBC_H
#define REFORK_REPLAYER_VERDICT_GLIBC_H

#include "replayer/verdict/verdict.h"

struct libc_module { // with thread-local data
    char name[64];
    uint64_t bias, id;
};

struct libc_layout {
    uint64_t specific, level2, key_data, data_size; // struct pthread's pthread_key_data
    uint64_t level1_count, level2_count, data_seq, data_value;
    uint64_t keys, key_size, key_seq, key_destructor; // __pthread_keys; 0: not known
    uint64_t dtv_pointer;                             // offset in the TCB
    uint64_t module;                                  // libc's TLS module; 0: not known
    uint64_t destructors, cache;                      // offsets in libc's TLS block
    bool has_destructors, has_cache;
    struct libc_module tls_modules[64];
    size_t tls_module_count;
};

void libc_layout_read(struct symbols *s, const struct view *v, struct libc_layout *out);

// Fills destructors, keys and cache_* of a thread whose TCB is at fs_base; -1 for what cannot be read.
void libc_thread(const struct libc_layout *l, const struct view *v, uint64_t fs_base,
                 struct vanished_thread *out);

// The address of a thread's TLS block of module `id`; 0: it has none yet, or it cannot be read.
uint64_t libc_tls_block(const struct libc_layout *l, const struct view *v, uint64_t thread, uint64_t id);

// The same of the module that has its struct link_map at `link_map`.
uint64_t libc_tls_of(struct symbols *s, const struct view *v, uint64_t thread, uint64_t link_map);

// The start routine that pthread_create was given, of the thread whose TCB is at fs_base; 0: not known.
uint64_t libc_start_routine(struct symbols *s, const struct view *v, uint64_t fs_base);

// The handlers that pthread_atfork registered, in the order of registration: addresses of functions, 0 for none.
struct fork_handler {
    uint64_t prepare, parent, child;
};
// The number of them (at most max are filled in); -1: not known.
int libc_fork_handlers(struct symbols *s, const struct view *v, struct fork_handler *out, size_t max);

#endif
