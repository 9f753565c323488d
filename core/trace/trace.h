// The trace file: one file per recording, append-only chunks, self-contained. Writer (core/trace/trace_write.h) and reader
// (core/trace/trace_read.h) live side by side over the one description of the layout (core/trace/trace_format.h).
#ifndef REFORK_CORE_TRACE_TRACE_H
#define REFORK_CORE_TRACE_TRACE_H

#include "core/cpu/model.h"
#include "core/error.h"
#include "core/event.h"

#include <stdint.h>
#include <sys/types.h>

// Any change of the layout, of core/events.def or of the meaning of a field bumps this.
#define TRACE_FORMAT 6

// header.flags: the CPU trapped cpuid (ARCH_SET_CPUID), so that also what code made at run time asked is in the trace.
#define TRACE_CPUID_FAULTS 1

// What the header says, besides magic and version.
struct trace_header {
    uint32_t format;
    char refork_version[32];
    uint64_t start_unix_ns;  // wall clock at the start
    char kernel[72];         // uname -r
    char machine_id[40];     // CPU vendor and model, for the user
    struct cpu_model cpu;    // that the program was shown; level CPU_BEST in no trace
    uint32_t xstate_size;    // bytes of NT_X86_XSTATE on the recording machine, for the user
    uint32_t paranoid_every; // memory digest every so many events; 0: none
    uint64_t flags;          // TRACE_CPUID_FAULTS
};

#endif
