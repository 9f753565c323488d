// Breakpoints of the analysis in the replayed program: int3 at addresses that a client chooses, one client at a
// time. They change nothing of the outcome: a step executes and checks what it would without them, and views show
// the program's own bytes. Only a program that reads its own code from an instruction (a checksum of itself)
// sees them.
#ifndef REFORK_REPLAYER_ENGINE_BREAKPOINTS_H
#define REFORK_REPLAYER_ENGINE_BREAKPOINTS_H

#include "replayer/engine/replay.h"

// A private mapping that is executable and not writable, of a file of the trace (map.blob) or anonymous.
struct break_mapping {
    uint32_t space; // id of the address space; a fork's child has another one, exec as well
    int tid;        // a task that lives in it
    struct view_map map;
};

struct break_hit {
    int tid, pid;
    uint32_t space;
    uint64_t next_event; // the event whose slice it is in
    uint64_t address;    // as it was added. regs->rip differs when a loop's stub holds the instruction
    uint64_t tag;        // as it was added
    struct user_regs_struct *regs; // of the task; rip: the instruction itself. May be changed
    uint8_t code[16];              // the program's own bytes at regs->rip
    size_t code_len;
};

enum break_action {
    BREAK_EXECUTE, // the instruction is still to be executed
    BREAK_DONE,    // it was carried out: memory, registers and rip are as behind it
    BREAK_STOP,    // the step fails in the middle ("interrupted"): a checkpoint must be restored then
};

// What instructions with a probe did, in the order in which they ran, with nothing of another breakpoint between.
struct break_notes {
    int tid, pid;
    uint32_t space;
    uint64_t next_event;
    const struct user_regs_struct *regs; // of the task now, behind them: its segment bases are what they were
    // struct probe_entry (core/probe.h), one behind the other, some followed by registers.
    const uint8_t *bytes;
    size_t len;
};

struct break_client {
    // For each mapping as above: those that are there when the client is set, and each that a step makes,
    // before anything of it runs. Calls replay_break_add.
    void (*mapped)(void *context, struct replay *r, const struct break_mapping *m);
    // A task is about to execute the instruction.
    enum break_action (*hit)(void *context, struct replay *r, struct break_hit *hit);
    // At every stop of a task that has passed probes since its last one, before anything else of the stop. BREAK_STOP, or anything
    // else to go on. NULL: replay_probe_add is not called.
    enum break_action (*noted)(void *context, struct replay *r, const struct break_notes *notes);
    // A task is about to execute the instruction that replay_note_pause named; NULL: not called.
    void (*paused)(void *context, struct replay *r, const struct break_hit *hit);
    // SIGALRM has come while a task runs. true: the step fails as with BREAK_STOP. NULL: not wanted.
    bool (*asked)(void *context);
    // After each step; NULL: not wanted.
    void (*stepped)(void *context, struct replay *r, const struct event *e);
    void *context;
};

// Sets the client (NULL: none, all breakpoints are taken out). Kept over steps, forks and restored checkpoints.
// Fork: the child has its parent's breakpoints. 0 or -1.
int replay_breaks(struct replay *r, const struct break_client *client, struct rf_error *err);

// Breakpoint on the instruction of `length` bytes (0: unknown) at `address`. Where the recorder put a loop's stub
// over it, the copy in the stub gets it. false: not possible there (no mapping as above, code that is not the
// file's): such an instruction is executed unseen. A second one at the same address replaces the tag.
bool replay_break_add(struct replay *r, uint32_t space, uint64_t address, size_t length, uint64_t tag);
// What a probe is to note (core/probe.h).
struct break_probe {
    uint8_t kind; // enum probe_kind
    uint8_t size; // of the memory operand, bytes; PROBE_CALL: 1
    bool registers;
};
// The same as a probe: the instruction is executed in the process and noted, and the task does not stop. Where that is not
// possible, or while a watchpoint is set, it is a breakpoint as above, and `hit` is told.
bool replay_probe_add(struct replay *r, uint32_t space, uint64_t address, size_t length, uint64_t tag,
                      const struct break_probe *probe);
void replay_break_remove(struct replay *r, uint32_t space, uint64_t address);
// Takes it out until the end of the step: for a loop that hits it without end and to no effect.
void replay_break_mute(struct replay *r, uint32_t space, uint64_t address);

struct break_counts {
    uint64_t hits;   // calls of `hit`
    uint64_t steps;  // instructions that had to be single-stepped
    uint64_t strays; // jumps that led to an instruction under the jump of a probe
};
void replay_break_counts(const struct replay *r, struct break_counts *out);

// For the engine: all spaces are others now; a step is over.
void breaks_restored(struct replay *r);
void breaks_stepped(struct replay *r);

#endif
