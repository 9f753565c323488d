// What /proc says of processes and threads.
#ifndef REFORK_REPLAYER_DIAGNOSE_PROC_H
#define REFORK_REPLAYER_DIAGNOSE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct proc_task {
    int tid, process; // process: the thread group
    int parent;       // process
    int tracer;       // task; 0: none
    int inside;       // TID in the innermost PID namespace
    int depth;        // of PID namespaces, from 1
    char name[32];
    char state;
    bool kernel;           // a kernel thread
    uint64_t caught;       // signals with a handler: bit n - 1
    uint64_t start;        // clock ticks since boot
    bool forked;           // it has not called exec since the fork that made it
    uint64_t user, system; // CPU time, clock ticks
    uint64_t switches;     // how often it gave up its CPU or lost it
};

// /proc/TID; false: there is no such task.
bool proc_task(int tid, struct proc_task *out);

// Ascending, from malloc; NULL and 0 when there are none.
int *proc_threads(int pid, size_t *count);
int *proc_children(int pid, size_t *count);

// What /proc/TID/syscall says without stopping the task.
enum proc_where {
    PROC_RUNNING, // or it cannot be read
    PROC_IN_CALL,
    PROC_ELSEWHERE, // asleep, in no call
};
struct proc_call {
    enum proc_where where;
    bool denied; // not permitted to know
    int nr;
    uint64_t args[6], sp, pc;
};
void proc_call(int tid, struct proc_call *out);

// Do both see the same TIDs? True when that cannot be read and nothing speaks against it.
bool proc_same_namespace(const struct proc_task *a, const struct proc_task *b);
bool proc_same_program(int pid, int other); // the same executable file

#endif
