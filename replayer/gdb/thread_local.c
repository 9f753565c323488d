#include "replayer/gdb/thread_local.h"

#include "replayer/gdb/target.h"
#include "replayer/timeline.h"
#include "replayer/verdict/glibc.h"

#include <inttypes.h>

void thread_local_answer(struct gdb *g, int tid, uint64_t offset, uint64_t link_map) {
    struct register_file registers;
    struct view v;
    struct rf_error ignored;
    uint64_t block = 0;
    if (replay_view(g->replay, tid, &v, &ignored) == 0 && target_registers(g, tid, &registers)) {
        block = libc_tls_of(timeline_symbols(g->timeline), &v, registers.user.fs_base, link_map);
        target_registers_free(&registers);
    }
    // A block that the thread has not touched yet is not there. gdb has no words for the reason.
    if (block)
        packet_add(g->packets, "%" PRIx64, block + offset);
    else
        packet_add(g->packets, "E01");
    packet_send(g->packets);
}
