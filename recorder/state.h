// The recording as a whole: what more than one file of the recorder must know.
#ifndef REFORK_RECORDER_STATE_H
#define REFORK_RECORDER_STATE_H

#include "core/cpu/model.h"
#include "core/cpu/xstate.h"
#include "core/error.h"
#include "core/event.h"
#include "core/trace/trace_write.h"
#include "recorder/options.h"

struct gate;
struct module_facts;
struct arena;
struct piece;
struct process;
struct recorder_hooks;
struct strategist;
struct task;
struct waits;

enum { CPU_WORDS = 16 }; // of 64 CPUs

struct recorder {
    const struct record_options *options;
    struct record_result *result;
    struct trace_writer *trace;
    int cpu;
    unsigned node;               // of the memory, that of this CPU
    uint64_t cpus[CPU_WORDS];    // that the program may use, as it is told
    bool cpuid_faults;           // ARCH_SET_CPUID works here
    struct cpu_model model;      // the CPU that the program is shown
    struct xstate_layout xstate; // of this CPU
    bool tsc_traps;
    struct task *tasks; // all, dead ones are unlinked
    struct process *processes;
    struct task *current;
    struct task *next;                  // has left a stop that the loop handles before anything else
    struct task *ended;                 // since the loop was there last
    struct task *deferred;              // the task whose entry is not yet in the trace
    int leader;                         // first process
    bool pid_namespaces;                // some process has made one
    struct ending {                     // recorder/end's own; times as clock_us, 0: not yet
        uint64_t asked_us, deadline_us; // somebody wants the end; everything is killed then
        int signal;                     // by which
        int forward;                    // the signal that is still to be passed on
        int reached;                    // that has reached the program last,
        uint64_t reached_us;            // when, and when a handler has run for it
        uint64_t handled_us;
        unsigned interrupts, presses; // Ctrl-C: all; since the program has last handled one
        uint64_t pressed_us;
        bool hinted, timed;
        uint64_t left_us;                // the program was gone, and others lived on
        uint64_t quiet_us, quiet_events; // nothing has happened since; the number of events then
    } ending;
    struct served { // recorder/end/served.c's own
        uint64_t looked_us, delayed_ns, waited_us;
    } served;
    unsigned rounds;                // of the loop
    unsigned clock_age, clock_tick; // stops since the clock was read, and the tick of the timer then
    uint64_t start_us, clock_us;    // clock_us: the time of the present stop
    uint64_t slice_end_us;
    uint64_t rng;
    uint32_t mm_ids, task_numbers;
    bool failed; // the recording cannot go on: `failure` says why
    struct rf_error failure;
    bool started;
    bool trace_lost;
    struct rf_error lost; // why
    uint64_t last_flush_us;
    // Bytes of data in the trace, before compression, by what they came with: to say why it is so big.
    struct trace_shares {
        uint64_t calls[512], kinds[EV_KINDS]; // of events of calls, by number; of the others
        uint64_t told_at;                     // the size at which it was said last
    } shares;
    uint64_t since_digest;
    struct { // recorder/log.c: room of the last event, for the next one: no malloc per system call
        struct arena *arena;
        struct piece *pieces;
        size_t capacity;
    } spare;
    struct { // recorder/syscall.c: refusals are said once per call, and per request of those that are many
        struct {
            long nr;
            uint64_t request;
        } said[64];
        int count;
        bool legacy; // of 32-bit calls
    } refusals;
    struct module_facts *modules;
    struct shared_file { // files that are, or were, mapped MAP_SHARED
        uint64_t dev, ino;
    } * shared_files;
    size_t shared_count;
    uint64_t anonymous_objects;             // MAP_SHARED | MAP_ANONYMOUS: how many so far
    const struct recorder_hooks *hooks[16]; // recorder/hooks.h
    int hook_count;
    bool any_traced;      // recorder/emulate: some task has attached to another one
    struct ended_tracee { // whose tracer, which is not its parent, has not waited for its end yet
        int tracer, tid, status;
    } * ended_tracees;
    size_t ended_tracee_count;
    struct seen_writes *seen_writes; // recorder/seen_writes.c's own
    struct waits *waits;             // recorder/waits' own
    struct gate *gate;               // recorder/plan's own; NULL: none
    struct strategist *strategist;   // the same
    bool stop_all;                   // stuck, or a signal asked to end
    bool let_go; // ... or the program has ended, and what it left behind shall live on (recorder/end)
    bool kept;   // this is the keeper of what was left behind: nothing is recorded any more
    uint64_t chaos_left;
    bool chaos_lowers; // the next resume lowers the PLT clock's limit: it was decided ahead
};

// Reads the clock (a real syscall: the engine's thread traps rdtsc, see engine_run) into r->clock_us.
uint64_t now_us(struct recorder *r);
// The same, but a reading may be a few stops old (never older than a tick of the timer).
uint64_t recent_us(struct recorder *r);
// A failure of the recording itself: it ends. The first one wins.
void recorder_fail(struct recorder *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The trace cannot be written any more (full disk, an event that does not fit): said at once; the program runs to its end without
// one, and the recording then ends with this reason.
void trace_failed(struct recorder *r, const struct rf_error *why);

#endif
