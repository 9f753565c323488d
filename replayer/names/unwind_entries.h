// Unwind entries of modules without an index of them.
#ifndef REFORK_REPLAYER_NAMES_UNWIND_ENTRIES_H
#define REFORK_REPLAYER_NAMES_UNWIND_ENTRIES_H

#include "replayer/names/unwind_module.h"

struct frame_section {
    uint64_t address, size; // run-time address of .eh_frame
};

// Looks through .eh_frame for the entry (FDE) of the function that covers run-time address `pc`: its run-time
// address, the function's start, and the section. Slow (10 ns an entry); only for modules without
// .eh_frame_hdr.
bool module_frame_entry(const struct module *m, uint64_t pc, struct frame_section *section, uint64_t *start,
                        uint64_t *entry);

#endif
