// Registers and memory for gdb: each packet is handled and answered.
#ifndef REFORK_REPLAYER_GDB_TARGET_H
#define REFORK_REPLAYER_GDB_TARGET_H

#include "replayer/gdb/inside.h"

void target_general(struct gdb *g, const char *p, size_t len); // g G p P m M x X
bool target_registers(struct gdb *g, int tid, struct register_file *out);
void target_registers_free(struct register_file *f);
// The registers of the scratch copy are not those of the recording: gdb has set the pc to run something.
bool target_diverted(struct gdb *g);

#endif
