// What gdb reads by name: threads, libraries, files of the trace.
#ifndef REFORK_REPLAYER_GDB_OBJECTS_H
#define REFORK_REPLAYER_GDB_OBJECTS_H

#include "replayer/gdb/inside.h"

void objects_transfer(struct gdb *g, const char *p);         // qXfer:...
void objects_file(struct gdb *g, const char *p, size_t len); // vFile:...
const char *objects_program(struct gdb *g);                  // path of the process's program; ""

#endif
