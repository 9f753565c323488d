// Signals: dispositions, what is held back, delivery.
#ifndef REFORK_RECORDER_SIGNALS_H
#define REFORK_RECORDER_SIGNALS_H

#include "core/event.h"
#include "recorder/state.h"
#include "recorder/task.h"

// Whether a signal is made by the instruction at which its task stands: a fault, or an int3.
bool signal_by_instruction(const siginfo_t *info);
// At the signal-delivery-stop of such a one that is not refork's own: its handler begins, or the process ends.
void signal_fault(struct recorder *r, struct task *t, const siginfo_t *info,
                  const struct user_regs_struct *regs);

// t stands at such a one, and nothing comes of it yet: an event, so that a replay comes there as well.
void signal_reached(struct recorder *r, struct task *t, int sig, enum signal_place at,
                    const struct user_regs_struct *regs);

// What becomes of a signal that came from elsewhere.
enum signal_fate {
    SIGNAL_LATE,    // a timer's, too soon behind the last one: it comes again
    SIGNAL_DROPPED, // ignored, or passed on to the main thread: t is resumed without it
    SIGNAL_HELD,    // kept until t is at a landmark, which is asked for
    SIGNAL_NOW,     // t is at a landmark: signal_now
};
enum signal_fate signal_fate(struct recorder *r, struct task *t, siginfo_t *info,
                             const struct user_regs_struct *regs);
// Timers' signals that came too soon are sent again: when the process has run for a while since, or `now`.
void signals_late(struct recorder *r, struct process *p, bool now);
// Makes a signal pending again that t blocks and that has come all the same.
void signal_again(struct task *t, const siginfo_t *info);
void signal_now(struct recorder *r, struct task *t, const siginfo_t *info);

bool signals_deliverable(struct task *t);
// At a landmark: delivers the first held signal that t does not block. `at`: AT_LANDMARK in a signal-delivery-stop or
// syscall-exit-stop, AT_ENTRY at a syscall's entry. For the loop alone. False: nothing comes instead of what t was about to do.
bool signal_deliver(struct recorder *r, struct task *t, enum signal_place at);

// t is at the entry of a call that is not made: `info` comes instead, by force, with the registers as they are behind the call's
// instruction. Without a handler, or blocked, it ends the process.
void signal_instead(struct recorder *r, struct task *t, const siginfo_t *info);
// t is at the entry of a call whose ENTER is logged: signal `sig` ends its process, whatever it has to say about that.
void signal_ends(struct recorder *r, struct task *t, int sig);

// From the entry's stop of a call to an exit stop, with the call's number in rax, as syscall_rollback() leaves it. False: t is gone,
// or has left a stop.
bool signal_skip_call(struct recorder *r, struct task *t);

bool same_regs(const struct user_regs_struct *a, const struct user_regs_struct *b);
void sighand_exec(struct task *t);
// After a call of t that succeeded: rt_sigaction; alarm and the like.
void note_dispositions(struct task *t, int64_t ret);
void note_timers(struct task *t);

#endif
