// Who else has a say in a recording: the fork gate and the strategies (recorder/plan), the search for tasks that wait for
// ever (recorder/waits). The recorder calls these at its moments and does not know who stands behind them. Any pointer
// may be NULL.
#ifndef REFORK_RECORDER_HOOKS_H
#define REFORK_RECORDER_HOOKS_H

#include "core/event.h"
#include "recorder/breakpoints.h"
#include "recorder/state.h"
#include "recorder/task.h"

// The file of a mapping.
struct mapped_file {
    int fd;
    const char *name;
};

struct recorder_hooks {
    bool lasting; // also asked when nothing is recorded any more (recorder/end/keeper.h)

    // ---- whose slice it is

    // called when it is asked whether t, which could run, may; true: it is held back
    bool (*holds)(const struct recorder *r, const struct task *t);
    // called before each choice of a task, when nobody is in the middle of a slice; not when an earlier one has set r->stop_all
    void (*poll)(struct recorder *r);
    // called when the next task is to be chosen (NULL: none can run). The first that has this chooses; time slices do when
    // nobody has.
    struct task *(*choose)(struct recorder *r);
    // called at a tick of the timer, and at a landmark, to ask whether the slice of the present task is over; as `choose`
    bool (*slice_over)(struct recorder *r);
    // called when it is asked whether anybody else wants to act soon; true: t must not keep the CPU, nor refork sleep
    bool (*due)(const struct recorder *r);
    // called at each tick of the timer in t's user code after the end of its slice, when nobody else can run; true: t is
    // interrupted, and `interrupted` called
    bool (*tick)(struct recorder *r, struct task *t);
    // called when no task can run, before the recorder sleeps; true: it shall look again instead
    bool (*idle)(struct recorder *r);
    // called when the recording's time is over; true: a moment more, it is worth it
    bool (*patient)(const struct recorder *r);
    // called when it is asked whether something may yet come out about tasks that wait; true: it may, soon
    bool (*undecided)(const struct recorder *r);
    // called after each stop, and at each tick of the timer while a task runs; may set r->stop_all
    void (*look_outside)(struct recorder *r);
    // called when a signal has come to a task, and again when its handler is about to run (`handled`)
    void (*signal_came)(struct recorder *r, int signal, bool handled);

    // called when a signal is about to be delivered to t, with its registers there; true: t stops instead, and what becomes of the signal
    // is that one's matter
    bool (*signal_stops)(struct recorder *r, struct task *t, const siginfo_t *info, enum signal_place at,
                         const struct user_regs_struct *regs);

    // called when job control stops t, by the signal t->process->stopped_by; true: t stays there, READY
    bool (*job_stops)(struct recorder *r, struct task *t);

    // ---- a task runs

    // called when t is about to be resumed
    void (*resume)(struct recorder *r, struct task *t);
    // called behind that, when t would run freely from here; true: it has been stepped, has left a stop, or is at a landmark
    bool (*walk)(struct recorder *r, struct task *t);
    // called when t was interrupted in user code and no landmark is wanted of it; true: as `walk`
    bool (*interrupted)(struct recorder *r, struct task *t);
    // called when a slice of t has ended at a landmark that is no call's
    void (*landmark)(struct recorder *r, struct task *t);
    // called at each stop of t, before anything is done about it. `outside`: it is in its own code, not in what refork has put there
    void (*stopped)(struct recorder *r, struct task *t, bool outside);
    // called when the present slice is known to have had so many calls without a stop, behind their `returned`
    void (*calls_made)(struct recorder *r, uint64_t count);
    // called when something from outside reaches t (a signal's handler, the time, a random number)
    void (*disturbed)(struct recorder *r, struct task *t);

    // ---- calls

    // called when a call of t begins (it is in t->call), before anything is done about it
    void (*call_begins)(struct recorder *r, struct task *t);
    // called behind that, with the registers at the entry; true: that call has been answered, or something else comes instead
    bool (*answer)(struct recorder *r, struct task *t, struct user_regs_struct *regs);
    // called when that call is answered by the recorder, or is about to be made and could be skipped by r->stop_all
    void (*call_waits)(struct recorder *r, struct task *t);
    // called when t has gone to sleep in its call while others can run
    void (*asleep)(struct recorder *r, struct task *t);
    // called when a call of t has returned `ret`; what the program is told instead, in memory as well
    int64_t (*tells)(struct recorder *r, struct task *t, int64_t ret);
    // called when a call of t has returned and is in the trace
    void (*returned)(struct recorder *r, struct task *t, int64_t ret);

    // ---- tasks come and go

    // called when t is at a call that makes a new address space; true: it is held there, and the call made when t runs again
    bool (*at_clone)(struct recorder *r, struct task *t);
    // called when t has made a child or a thread, which is not in the trace yet
    void (*born)(struct recorder *r, struct task *t, struct task *child);
    // called when that call has made a child, which is in the trace
    void (*forked)(struct recorder *r, struct task *t, struct task *child);
    // called when t has begun a new program, which is in the trace
    void (*exec)(struct recorder *r, struct task *t);
    // called at the exit stop of t; true: that stop is kept for later
    bool (*ends)(struct recorder *r, struct task *t, int status);
    // called when t has ended; it is still on the list of tasks
    void (*ended)(struct recorder *r, struct task *t, int status);
    // called when the recording ends, before what is left of the program is killed
    void (*end)(struct recorder *r);

    // ---- places

    // called when an executable file has been mapped into t's space
    void (*mapped)(struct recorder *r, struct task *t, const struct module_facts *facts,
                   const struct piece_map *map, const struct mapped_file *file);
    // called when t comes to a breakpoint that is on; the first wish that is not WISH_PASS counts
    enum break_wish (*at_breakpoint)(struct recorder *r, struct task *t, const struct breakpoint *b,
                                     const struct user_regs_struct *regs);
    // called when the landmark at a breakpoint has been made
    void (*landed)(struct recorder *r, struct task *t, const struct breakpoint *b);

    // ---- what they ask each other

    // called when it is asked whether t waits for a lock that nobody can free any more; true: it does
    bool (*lock_is_lost)(const struct recorder *r, const struct task *t);
    // called when a spin is about to be told of; true: somebody who is held back has been released first
    bool (*release)(struct recorder *r);
};

// Earlier ones are called first. The table stays where it is.
void hooks_add(struct recorder *r, const struct recorder_hooks *hooks);
// Only those that are lasting stay.
void hooks_keep_lasting(struct recorder *r);

// Each calls the pointer of its name; those that answer end with the first answer.
bool hooks_hold(const struct recorder *r, const struct task *t);
void hooks_poll(struct recorder *r);
// The one that chooses; NULL: nobody.
const struct recorder_hooks *hooks_chooser(const struct recorder *r);
bool hooks_due(const struct recorder *r);
bool hooks_tick(struct recorder *r, struct task *t);
bool hooks_idle(struct recorder *r);
bool hooks_patient(const struct recorder *r);
bool hooks_undecided(const struct recorder *r);
void hooks_look_outside(struct recorder *r);
bool hooks_signal_stops(struct recorder *r, struct task *t, const siginfo_t *info, enum signal_place at,
                        const struct user_regs_struct *regs);
void hooks_signal_came(struct recorder *r, int signal, bool handled);
bool hooks_job_stops(struct recorder *r, struct task *t);
void hooks_resume(struct recorder *r, struct task *t);
bool hooks_walk(struct recorder *r, struct task *t);
bool hooks_interrupted(struct recorder *r, struct task *t);
void hooks_landmark(struct recorder *r, struct task *t);
void hooks_stopped(struct recorder *r, struct task *t, bool outside);
void hooks_calls_made(struct recorder *r, uint64_t count);
void hooks_disturbed(struct recorder *r, struct task *t);
void hooks_call_begins(struct recorder *r, struct task *t);
bool hooks_answer(struct recorder *r, struct task *t, struct user_regs_struct *regs);
void hooks_call_waits(struct recorder *r, struct task *t);
void hooks_asleep(struct recorder *r, struct task *t);
int64_t hooks_tell(struct recorder *r, struct task *t, int64_t ret);
void hooks_returned(struct recorder *r, struct task *t, int64_t ret);
bool hooks_at_clone(struct recorder *r, struct task *t);
void hooks_born(struct recorder *r, struct task *t, struct task *child);
void hooks_forked(struct recorder *r, struct task *t, struct task *child);
void hooks_exec(struct recorder *r, struct task *t);
bool hooks_end_waits(struct recorder *r, struct task *t, int status);
void hooks_ended(struct recorder *r, struct task *t, int status);
void hooks_end(struct recorder *r);
void hooks_mapped(struct recorder *r, struct task *t, const struct module_facts *facts,
                  const struct piece_map *map, const struct mapped_file *file);
enum break_wish hooks_at_breakpoint(struct recorder *r, struct task *t, const struct breakpoint *b,
                                    const struct user_regs_struct *regs);
void hooks_landed(struct recorder *r, struct task *t, const struct breakpoint *b);
bool hooks_lock_is_lost(const struct recorder *r, const struct task *t);
bool hooks_release(struct recorder *r);

#endif
