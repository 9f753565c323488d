// gdb's `monitor` command.
#ifndef REFORK_REPLAYER_GDB_MONITOR_H
#define REFORK_REPLAYER_GDB_MONITOR_H

#include "replayer/gdb/inside.h"

// Carries out a command, decoded, and answers.
void monitor_command(struct gdb *g, const char *text);

#endif
