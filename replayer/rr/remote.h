// The asking side of gdb's remote protocol: a process in a replay that can go back (rr replay, refork gdb --listen), or a
// live one that cannot (gdbserver).
#ifndef REFORK_REPLAYER_RR_REMOTE_H
#define REFORK_REPLAYER_RR_REMOTE_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

struct remote;

struct remote_thread {
    int pid, tid;
    char name[32]; // "" when the server does not tell
};

struct remote_stop {
    enum { REMOTE_STOPPED, REMOTE_BEGIN, REMOTE_END, REMOTE_EXITED } how; // BEGIN, END: of the recording
    int pid, tid;                                                         // 0: not told
    int signal;       // that stopped it, in gdb's numbers; 0: none. REMOTE_EXITED: status, or signal
    uint64_t watched; // address of the watchpoint that was hit; 0: none
};

// A server on this machine. The process must be stopped, as servers leave it for who connects. -1: nobody is there, or no
// x86-64 process. *first: where it stands.
int remote_connect(int port, struct remote **out, struct remote_stop *first, struct rf_error *err);
void remote_close(struct remote *r); // NULL is fine
bool remote_goes_back(const struct remote *r);

// Its threads, from malloc.
int remote_threads(struct remote *r, struct remote_thread **out, size_t *count, struct rf_error *err);
int remote_registers(struct remote *r, const struct remote_thread *t, struct user_regs_struct *out,
                     struct rf_error *err);
// Memory of the process, as it is where it stands. Kept until it moves.
bool remote_read(void *remote, uint64_t address, void *buffer, size_t len);
// A file as the server shows it, "/proc/PID/maps" for example: from malloc, ended by a NUL. NULL: it has none such.
char *remote_file(struct remote *r, const char *path, size_t *len);
// The event of the recording that was the last one; 0: the server does not tell.
uint64_t remote_event(struct remote *r, int tid);

// A write watchpoint of 1, 2, 4 or 8 bytes. -1: the server has none left, or none at all.
int remote_watch(struct remote *r, uint64_t address, unsigned size, bool on, struct rf_error *err);
// A breakpoint.
int remote_break(struct remote *r, uint64_t address, bool on, struct rf_error *err);
enum remote_way { REMOTE_FORWARD, REMOTE_BACK, REMOTE_STEP, REMOTE_STEP_BACK };
// `t`: the thread that makes a step. Waits for the stop.
int remote_go(struct remote *r, enum remote_way way, const struct remote_thread *t, struct remote_stop *out,
              struct rf_error *err);

#endif
