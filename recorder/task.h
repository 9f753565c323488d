// Tasks and processes. One task runs at a time.
#ifndef REFORK_RECORDER_TASK_H
#define REFORK_RECORDER_TASK_H

#include "core/calls/fdtable.h"
#include "core/tracee.h"
#include "recorder/space.h"

#include <signal.h>

struct filters;

// What a task is doing, and so what may be done with it.
enum task_state {
    TASK_READY,       // stopped at a landmark: may be resumed
    TASK_RUNNING,     // the one that runs
    TASK_IN_KERNEL,   // asleep in a call whose entry is in the trace; its next stop is the exit
    TASK_RETURNED,    // its exit-stop has come, its EXIT is not yet in the trace (status in `stop`)
    TASK_JOB_STOPPED, // SIGSTOP and the like, until SIGCONT
    TASK_DEAD,
};

// The dispositions that threads share (CLONE_SIGHAND).
struct sighand {
    int refs;
    uint64_t handler[65]; // SIG_DFL 0, SIG_IGN 1, or an address
    uint64_t flags[65], restorer[65], mask[65];
};

// Timers that end in a signal while the process sleeps.
enum process_timer { TIMER_ONCE = 1, TIMER_AGAIN = 2, TIMER_POSIX = 4 }; // the former two: alarm, ITIMER_REAL

struct process {
    int pid, parent_pid;
    int refs; // live tasks
    bool dying;
    siginfo_t given;         // signal on its way from another thread to the main one; si_signo 0: none
    bool first_of_namespace; // its process 1
    bool child_of_threaded;  // forked while its parent had more than one task
    int status;              // wait status at its end
    unsigned timers;         // bits: enum process_timer; a signal is on its way
    // Timers' signals that came too soon (recorder/signals.c), the tasks they came to, and the CPU time of the process when
    // such a signal went to its handler last.
    struct {
        siginfo_t info;
        int tid;
    } late[4];
    unsigned late_count;
    uint64_t timer_ns;
    int stopped_by; // the signal by which job control has stopped it, whether or not a tracer has let it go on; 0: none
    struct sighand *sighand;
    struct process *next;
};

// A signal held back until its task is at a landmark.
struct held_signal {
    siginfo_t info;
    struct held_signal *next;
};

// The call that a task is in, or was in last. Owned by syscall.c.
struct call {
    bool inside, legacy; // legacy: not made by the `syscall` instruction
    uint64_t since_us;   // when it began
    long nr;
    long meaning, interrupted; // the call whose buffers these are: of restart_syscall, the interrupted one
    uint64_t args[6];
    struct user_regs_struct regs; // at its entry: canonical, original arguments
    struct redirect {             // out-buffers that live in scratch meanwhile
        int arg;
        uint64_t real, temporary, size;
    } redirects[6];
    int redirect_count;
    bool settled; // it was seen asleep
};

// A task's TIDs, from refork's PID namespace (0) down to its own (depth). Depth 0: it is in refork's.
enum { NAMESPACES = 8 };
struct task_names {
    int tids[NAMESPACES];
    int depth;
    uint64_t own; // the namespace: inode of /proc/PID/ns/pid
};

struct task {
    int tid;
    struct task_names names;
    struct process *process;
    struct mm *mm;
    struct fdtable *fds;
    enum task_state state;
    int stop;            // wait status of the stop that RETURNED tells of
    uint64_t delayed_ns; // recorder/end/served.c: that it has waited for a CPU
    struct call call;
    uint64_t scratch;   // its scratch area, 0: none yet
    bool tsc_forbidden; // by its own PR_SET_TSC
    struct {            // recorder/emulate/dispatch.h
        bool on;
        uint64_t from, length, selector; // not in this code; 0: always
    } dispatch;
    // It has set the trap flag: no call without a stop, of which replay makes no instruction.
    bool traces_itself;
    enum {
        ADDRESSES_RANDOM,
        ADDRESSES_FIXED,
        ADDRESSES_HELD
    } addresses; // HELD: fixed by refork, not by its own personality
    struct {     // recorder/emulate: ptrace among recorded tasks
        int by; // the process that has attached to it; 0: none; -1: one outside of the recording was asked to
        int passing;    // the signal that it shall get now
        bool by_signal; // it stands at a signal: that one, there, with these registers
        siginfo_t info;
        int at; // enum signal_place
        struct user_regs_struct regs;
        uint64_t options;
        int status; // of its stop, as wait tells it
        bool seized, wanted, stopped, reported;
        bool interrupted;       // by refork, in a call
        uint8_t mode;           // enum tracee_mode
        bool at_entry;          // it stands in front of a call, as if it were at its entry
        bool emulated, skipped; // ... which is not made, and whose result is this one then
        int64_t result;
        bool entered;     // the call that it makes next has had that stop
        bool exit_due;    // it stops when its call has returned
        bool at_exit;     // it does so now
        int due;          // the status of a stop that it makes at its next landmark; 0: none
        bool stepped;     // its last stop of that kind was behind a step
        bool in_event;    // it stands in the middle of a call, or at its end, until it is let go on
        bool ending;      // its end has been told
        uint64_t message; // of its last event
        bool pauses;      // it waits for a task that it has attached to: the kernel makes a pause of that
    } traced;
    int status_fd;              // recorder/emulate: it reads a task's status by this one, + 1
    struct {                    // the same
        int mode;               // SECCOMP_MODE_*
        bool no_new_privileges; // asked for by the program
        struct filters *filters;
    } seccomp;
    bool untraced_poked; // CLONE_UNTRACED was taken out of the present clone3's arguments
    uint64_t mask;       // blocked signals, but for those that a sleeping call has changed for its time
    bool trap_open;      // SIGTRAP is in `mask`, and unblocked while the task is stepped
    struct held_signal *signals;
    struct user_regs_struct landmark; // registers at the last landmark
    bool at_landmark;                 // it has run nothing since: only then may another task run
    bool in_code;                     // it is no call's: signals that wait are delivered there
    uint64_t clear_tid;               // set_tid_address, CLONE_CHILD_CLEARTID
    // What the kernel will make of the words of its robust list, if a SIGKILL that was sent ends it without a stop.
    struct dying_word {
        uint64_t address;
        uint32_t value;
    } * dying;
    size_t dying_count;
    uint64_t robust_list;
    int interrupt_wanted; // timer ticks since the slice ended without a landmark
    bool yielded;
    bool spins;    // its last slice ended in a loop that waits for another CPU, and it has made no call since
    bool stepping; // it runs instruction by instruction
    // Equal registers need not mean that it is still at its landmark: it was stepped since, or the landmark is a STATE, by
    // which a loop comes again and again.
    bool stepped;
    struct loop *loop;      // what recorder/waits knows of it; NULL: nothing
    struct task_plan *plan; // what recorder/plan does; freed with the task
    int inject_signal;      // signal to hand over at the next resume (signal-delivery-stop only)
    bool in_signal_stop;    // the present stop is a signal-delivery-stop
    int former_tid;         // TID before an exec by a thread
    int *was;               // TIDs of the tasks that it is a copy of, by fork: memory may have them
    size_t was_count;
    uint32_t number;    // in creation order, from 1
    bool at_tick;       // its landmark is a tick of the PLT clock
    bool held_at_entry; // at the entry of a clone call, which is made when it runs next
    uint64_t own_steps; // logged ones and library calls, as segments count them
    bool on_break;      // it stands at a breakpoint and has been counted there: next it goes over

    // at breakpoints since its last landmark
    struct arrivals {
        uint64_t address, count;
    } * arrivals;
    int arrival_count;
    bool own_cpus; // it has chosen them: cpus.c
    uint64_t cpus[16];
    bool own_policy; // a real-time one, which it is told of and does not have: cpus.c
    struct sched_policy {
        uint32_t size, policy; // struct sched_attr of the kernel
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } policy;
    char name[16];
    struct task *next; // in creation order
};

// Reads the memory of `task`: a tracee_reader.
bool task_read(void *task, uint64_t address, void *buffer, size_t len);
// May the task itself write there?
bool task_can_write(const struct task *t, uint64_t address, uint64_t size);
struct task *task_find(struct recorder *r, int tid);
// What `seer` calls t: its TID in the PID namespace of `seer`. 0: t is not to be seen there.
int task_tid_for(const struct task *seer, const struct task *t);
// The task that `seer` calls `tid`; NULL: none of the recording.
struct task *task_called(struct recorder *r, const struct task *seer, int tid);
// Reads t->names; to be called when it is born and any process has made a PID namespace.
void task_read_names(struct task *t);
// Born: the last one in creation order, READY, with a reference to p.
struct task *task_new(struct recorder *r, int tid, struct process *p, struct mm *mm);
// t is reaped (or has become another task at an exec): it is DEAD and on no list; its memory stays until tasks_reap,
// so that whoever is at work on it sees that.
void task_ended(struct recorder *r, struct task *t, int status);
void tasks_reap(struct recorder *r);
// t stands at a landmark with these registers.
void set_landmark(struct task *t, const struct user_regs_struct *regs);
// ... which is no call's, and so one at which signals that wait are delivered.
void set_landmark_in_code(struct task *t, const struct user_regs_struct *regs);

#endif
