// Signals as gdb's remote protocol numbers them, on every system alike.
#ifndef REFORK_REPLAYER_GDB_SIGNALS_H
#define REFORK_REPLAYER_GDB_SIGNALS_H

#include <stdint.h>

int signals_to_gdb(int number);
// The list of a QPassSignals packet ("e;10;14;...", hexadecimal): bit SIGNAL - 1 of each.
uint64_t signals_of_list(const char *list);

#endif
