// One process at one moment, live or in a core file: what `refork diagnose` makes its verdict of.
#ifndef REFORK_REPLAYER_DIAGNOSE_SNAPSHOT_H
#define REFORK_REPLAYER_DIAGNOSE_SNAPSHOT_H

#include "core/error.h"
#include "replayer/diagnose/files.h"
#include "core/view.h"

struct snapshot_thread {
    int tid;       // as this machine's tools show it
    int inside;    // as the process knows it, which may live in a PID namespace of its own
    int alias;     // another TID that may mean this thread (a core written from outside); 0: none
    char name[32]; // "" in a core
    bool running;  // on a CPU, or about to be
    bool in_call;  // asleep in a system call, and would go on sleeping
    int nr;
    uint64_t args[6];
    bool stopped; // regs are all of its registers; else only rip and rsp are known, or nothing (rsp 0)
    struct user_regs_struct regs;
};

struct snapshot {
    int pid, parent; // parent 0: not known
    int inside;      // its PID as its parent knows it
    bool core;
    bool handlers; // a handler of an asynchronous signal may run (a core does not tell: true)
    bool alone;    // no other process runs in this memory (a core does not tell: true)
    bool complete; // all threads are in `threads`
    char program[256];
    struct view view;
    bool *shared; // beside view.maps: other processes may write there
    struct snapshot_thread *threads;
    size_t thread_count;
    char **notes; // what could not be read, one sentence each
    size_t note_count;
    struct file_store *files; // not owned
    size_t image_bytes;       // of files that memory was taken for
    void (*release)(struct snapshot *s);
};

void snapshot_free(struct snapshot *s);

// Shared by the two kinds.
void snapshot_note(struct snapshot *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
// From registers that a thread has when it was stopped: is it in a system call that the kernel would make
// again? Fills in_call, nr and args.
void snapshot_read_call(struct snapshot_thread *t, const struct view *v);
// Would this call sleep now?
bool snapshot_would_sleep(const struct snapshot_thread *t, const struct view *v);
// Gives maps[from..to), which belong to one file, the number of that file: the first of the `paths` that
// matches, else one made of what memory has.
void snapshot_name_file(struct snapshot *s, struct view_map *maps, size_t from, size_t to,
                        const char *const *paths, size_t path_count);

#endif
