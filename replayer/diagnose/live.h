// A snapshot of a live process.
#ifndef REFORK_REPLAYER_DIAGNOSE_LIVE_H
#define REFORK_REPLAYER_DIAGNOSE_LIVE_H

#include "replayer/diagnose/snapshot.h"

// A live process. Its threads that sleep in a futex call, in a wait for a child or in a plain sleep are stopped for some
// milliseconds; those calls go on afterwards as if nothing had happened. Threads in other calls, which would
// end with EINTR (epoll_wait, semop: signal(7)), and running ones are not stopped. 0 or -1.
int snapshot_live(int pid, struct file_store *files, struct snapshot **out, struct rf_error *err);
// Is the thread still in the call that it was in, and its futex word what it waits for? False of a thread that
// was in none.
bool snapshot_still_waits(const struct snapshot *s, size_t thread);
// The thread's registers at up to `count` moments, some hundred microseconds of its own running apart; it must be
// running. Returns how many there are; fewer when it goes into a call or gets a signal.
size_t snapshot_sample(const struct snapshot *s, size_t thread, struct user_regs_struct *out, size_t count);
// Memory of another process, without stopping it; false: not permitted or not mapped.
bool snapshot_peek(int pid, uint64_t address, void *buffer, size_t len);

#endif
