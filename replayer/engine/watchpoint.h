// A hardware watchpoint on one word, kept over task switches.
#ifndef REFORK_REPLAYER_ENGINE_WATCHPOINT_H
#define REFORK_REPLAYER_ENGINE_WATCHPOINT_H

#include "replayer/engine/replay.h"

// The last-writer search's tool: a hardware watchpoint (write, len 1, 2, 4 or 8, aligned) on `address` in the
// address space of `tid`, kept across steps, followed by fork (the child's copy is watched too if
// `children`). Each hit calls `hit` with the task that wrote, its registers (pc behind the instruction), old
// and new value, in the middle of the step to event `next`. Kernel writes (from the log) call it too with
// from_kernel.
struct watch_hit {
    int tid, pid;
    uint64_t next_event; // the event whose slice the write is in
    size_t word;         // of several: which one
    uint64_t old_value, new_value;
    bool from_kernel;
    bool accessed; // of a word that is watched for reads too: it was read, or written without a change
    const struct user_regs_struct *regs;
};
typedef void (*watch_callback)(void *context, struct replay *r, const struct watch_hit *hit);
struct watch_client {
    watch_callback hit;
    void *context;
    // There is no watchpoint: the words are read between slices and whenever replay_watch_look is called. The program runs as if nothing
    // was watched. What is changed and changed back between two looks is missed; hit->regs say nothing.
    bool compared;
};
int replay_watch(struct replay *r, int tid, uint64_t address, int len, struct watch_client client,
                 struct rf_error *err);
// Up to WATCH_PLACES words of one address space at once (replayer/engine/space.h). `access`: reads are reported as well; those that
// the kernel makes for a system call are not.
struct watch_word {
    uint64_t address;
    int len;
    bool access;
    uint64_t value; // the engine's
};
int replay_watch_words(struct replay *r, int tid, const struct watch_word *words, size_t count,
                       struct watch_client client, struct rf_error *err);
// The same as replay_watch for a word of memory that processes share (as replay_space_shared tells it), in all address spaces that map
// it, now or later.
int replay_watch_shared(struct replay *r, uint64_t identity, uint64_t offset, int len,
                        struct watch_client client, struct rf_error *err);
// Watches nothing any more.
void replay_unwatch(struct replay *r);
// Reports writes that change nothing, too, until the next replay_watch.
void replay_watch_all_writes(struct replay *r);

// Until the next replay_watch, for who wants to know the last change: where pages are protected in place of a watchpoint, a page that is
// written often is not watched any more behind `most` writes to it. `most` 0: it is not watched to the end of a slice, and what is
// changed and changed back there is missed.
void replay_watch_seldom(struct replay *r, uint64_t most);
// There were more than that.
bool replay_watch_gave_up(const struct replay *r);

// Reports what has changed since the last look, of words that are compared, or not watched to the end of a slice.
void replay_watch_look(struct replay *r);

struct watch {
    bool on, shared;
    struct watch_word
        words[3]; // the address of shared memory, which is one word, is the offset in the object
    size_t count;
    uint64_t identity; // of that
    uint32_t space;    // id
    struct watch_client client;
    bool all;         // writes that change nothing as well
    unsigned in_vain; // writes that changed nothing, one after the other
    bool muted;       // there were too many of them in the slice that runs
    bool seldom, gave_up;
    int ran; // the task that ran last, in the slice that ends behind this event:
    uint64_t ran_at;
    uint64_t most, beside;        // writes to the page, beside the word
    uint64_t slice, slice_beside; // those of that slice
};

// For the engine: sets or clears the debug registers of a space that has come into being.
struct space;
struct vtask;
void watch_arm(struct replay *r, struct space *s);
void watch_hit_now(struct replay *r, struct vtask *v); // the CPU says that it wrote, or it may have written
void watch_beside(struct replay *r, struct space *s);  // a protected page was accessed, but no watched word
// Are reads watched? Then the CPU itself must execute what reads.
bool watch_accesses(const struct replay *r);
// v is about to run: memory that processes share may have been mapped, or changed by no instruction.
void watch_before_run(struct replay *r, struct vtask *v);
// An event is about to write into memory.
void watch_before_kernel_write(struct replay *r);
// v's event wrote into the space s.
void watch_kernel_write(struct replay *r, struct vtask *v, struct space *s, uint64_t address, size_t len);
void watch_forked(struct replay *r, struct space *from, struct space *to);

#endif
