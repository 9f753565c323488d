// What gdb reads by name: threads, libraries, files of the trace.
#ifndef REFORK_REPLAYER_GDB_OBJECTS_H
#define REFORK_REPLAYER_GDB_OBJECTS_H

#include "replayer/gdb/inside.h"

void objects_transfer(struct gdb *g, const char *p);         // qXfer:...
void objects_file(struct gdb *g, const char *p, size_t len); // vFile:...
const char *objects_program(struct gdb *g);                  // path of the process's program; ""
// The program or the libraries here are others than gdb has read for this process.
bool objects_differ(struct gdb *g);
void objects_free(struct gdb *g);

#endif
