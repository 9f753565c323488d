// Do the debug registers work here?
#ifndef REFORK_CORE_CPU_DEBUG_REGISTERS_H
#define REFORK_CORE_CPU_DEBUG_REGISTERS_H

#include <stdbool.h>

// Does a breakpoint in a debug register stop a task? Some VMs take what is written into the registers and stop nobody (seen on PVM,
// whose guest kernel runs unprivileged). Tried once in a process, with a child (1 ms). REFORK_DEBUG_REGISTERS=off in the environment:
// no, for tests.
bool debug_registers_work(void);

#endif
