// The kernel tasks that carry address spaces. A template is made once: a child of refork with everything unmapped but
// one page that holds `syscall; int3`; all others are forks of it or of each other, made by an injected clone.
#ifndef REFORK_REPLAYER_ENGINE_KERNEL_TASK_H
#define REFORK_REPLAYER_ENGINE_KERNEL_TASK_H

#include "core/error.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>

// Makes a template, with an empty address space; 0 and *out, or -1.
int kernel_task_template(pid_t *out, struct rf_error *err);
// A stopped task with a copy of the memory of `from`; -1.
pid_t kernel_task_fork(pid_t from, struct rf_error *err);
// Ends and reaps it. 0 and less are fine.
void kernel_task_kill(pid_t pid);
// Runs one call in the kernel task from the replay page; its registers are whatever they are afterwards. The kernel's
// result. What is not given of the macro's arguments is 0.
long kernel_task_call(pid_t pid, long nr, const uint64_t args[6]);
#define KERNEL_TASK_CALL(pid, nr, ...) kernel_task_call(pid, nr, (const uint64_t[6]){__VA_ARGS__})
static inline long kernel_task_unmap(pid_t pid, uint64_t address, uint64_t length) {
    return KERNEL_TASK_CALL(pid, SYS_munmap, address, length);
}
// waitpid that survives EINTR; false when the task is gone.
bool kernel_task_wait(pid_t pid, int *status);
// The same, but `ask` (NULL: nobody) is called when SIGALRM comes, which the caller has blocked and gets here alone: true stops the task
// where it is. *stopped: it did.
bool kernel_task_wait_asking(pid_t pid, int *status, bool (*ask)(void *context), void *context,
                             bool *stopped);

#endif
