// Where a thread-local variable is: gdb knows its place in a module's block, the C library where a thread has that block.
#ifndef REFORK_REPLAYER_GDB_THREAD_LOCAL_H
#define REFORK_REPLAYER_GDB_THREAD_LOCAL_H

#include "replayer/gdb/inside.h"

// qGetTLSAddr: the variable at `offset` in the block of the module that has its struct link_map at `link_map` (0: a static program).
void thread_local_answer(struct gdb *g, int tid, uint64_t offset, uint64_t link_map);

#endif
