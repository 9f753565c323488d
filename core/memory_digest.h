// The digest of a process's private memory, which a STATE and `record --paranoid` store.
#ifndef REFORK_CORE_MEMORY_DIGEST_H
#define REFORK_CORE_MEMORY_DIGEST_H

#include <stdint.h>
#include <sys/types.h>

// XXH3-64 over (address, bytes) of all private anonymous pages that are not all zero, in the order of their
// addresses, code and the annex left out: the same in recording and in replay when the memory is the same.
// `pid` stopped. *bytes (may be NULL): how much was hashed.
uint64_t memory_digest(pid_t pid, int mem_fd, uint64_t *bytes);

#endif
