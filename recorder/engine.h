// Inside the recorder: tasks, processes, address spaces and the rooms that work on them. One task runs at a
// time.
#ifndef REFORK_RECORDER_ENGINE_H
#define REFORK_RECORDER_ENGINE_H

#include "core/code.h"
#include "core/error.h"
#include "core/event.h"
#include "core/fdtable.h"
#include "core/syscalls.h"
#include "core/trace.h"
#include "core/tracee.h"
#include "recorder/record.h"
#include "recorder/plan/schedule.h"

#include <signal.h>

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
    uint64_t flags[65];
};

// A module mapped in an address space whose JUMP_SLOTs still wait for ld.so's relocation.
struct pending_module {
    uint64_t bias;
    struct module_facts *facts;
    size_t done;      // slots already sent through stubs
    uint8_t *patched; // one flag per slot
    int tries;
    struct pending_module *next;
};

// An address space: fork copies one, threads and vfork children share one.
struct mm {
    int refs;
    uint32_t id;
    int mem_fd;
    bool annex;             // mapped
    uint32_t stubs;         // PLT stubs used
    uint64_t scratch_slots; // bit per slot in use
    bool limit_lowered;
    uint64_t others_ran; // slices of tasks that are in no known loop
    struct pending_module *pending;
    struct site_page { // stubs of loop sites, mapped near the code that they serve
        uint64_t start, used;
    } site_pages[32];
    int site_page_count;
    struct loop_site *sites; // their stubs
    int site_count;
    struct saved_byte { // first bytes of patched instructions that do not begin with 0x0f
        uint64_t address;
        uint8_t byte;
    } saved[256];
    int saved_count;
    struct breakpoint *breaks; // by no order; see breakpoints.c
    int break_count, break_room;
};

// A code address at which tasks of the space may make landmarks. Its int3 is in memory only while one of them runs.
struct breakpoint {
    uint64_t address;
    uint8_t original;
    unsigned roles, on; // bits: enum break_role; without one that is on there is no int3
    size_t yield;       // BREAK_YIELD: the schedule's line
    uint64_t stints;    // BREAK_STINT: a bit for each of the schedule's stint places
};

enum break_role {
    BREAK_YIELD = 1,   // a schedule's yield line: see places.c
    BREAK_FORK = 2,    // fork() begins
    BREAK_ACQUIRE = 4, // the gate's acquire site: a lock instruction, or a function's first
    BREAK_RETURN = 8,  // where an acquire function returns to
    BREAK_SITE = 16,   // the gate's fork site: never on
    BREAK_STINT = 32,  // stints end there
};

// Timers that end in a signal while the process sleeps.
enum process_timer { TIMER_ONCE = 1, TIMER_AGAIN = 2, TIMER_POSIX = 4 }; // the former two: alarm, ITIMER_REAL

struct process {
    int pid, parent_pid;
    int refs; // live tasks
    bool dying;
    siginfo_t given;        // signal on its way from another thread to the main one; si_signo 0: none
    bool child_of_threaded; // forked while its parent had more than one task
    int status;             // wait status at its end
    unsigned timers;        // bits: enum process_timer; a signal is on its way
    enum { GO_UNKNOWN, GO_NO, GO_YES } go; // its program is made by the Go compiler
    struct sighand *sighand;
    struct process *next;
};

// A signal held back until its task is at a landmark.
struct held_signal {
    siginfo_t info;
    struct held_signal *next;
};

struct task {
    int tid;
    struct process *process;
    struct mm *mm;
    struct fdtable *fds;
    enum task_state state;
    int stop;          // wait status of the stop that RETURNED tells of
    bool entry_logged; // ENTER is in the trace
    bool in_syscall;
    bool stop_pending; // `stop` holds a stop that nobody has handled yet
    long nr;
    long meaning, interrupted; // the call whose buffers these are: of restart_syscall, the interrupted one
    uint64_t args[6];
    struct user_regs_struct entry_regs; // canonical, original arguments
    uint64_t scratch;                   // its scratch area, 0: none yet
    struct redirect {                   // out-buffers of the present call that live in scratch meanwhile
        int arg;
        uint64_t real, temporary, size;
    } redirects[6];
    int redirect_count;
    struct held_signal *signals;
    struct user_regs_struct landmark; // registers at the last landmark
    bool at_landmark;                 // it has run nothing since: only then may another task run
    uint64_t clear_tid;               // set_tid_address, CLONE_CHILD_CLEARTID
    uint64_t robust_list;
    int interrupt_wanted; // timer ticks since the slice ended without a landmark
    bool yielded;
    bool slept;    // it has asked to sleep since it was chosen last
    bool stepping; // preempt_busy, spin_look or loop_run is at work on it
    // Equal registers need not mean that it is still at its landmark: it was stepped since by spin_look or loop_run, or the
    // landmark is a STATE, by which a loop comes again and again.
    bool stepped;
    bool stuck_logged;
    unsigned busy, busy_look; // ticks or slices without a syscall; how many until spin_look
    unsigned spin_looks;
    struct loop *loop;   // recorder/waits/wait_loop.h; NULL: it has not waited in a loop yet
    int inject_signal;   // signal to hand over at the next resume (signal-delivery-stop only)
    bool in_signal_stop; // the present stop is a signal-delivery-stop
    int former_tid;      // TID before an exec by a thread
    uint32_t number;     // in creation order, from 1
    bool at_tick;        // its landmark is a tick of the PLT clock
    bool held_at_entry;  // at the entry of a call that the fork gate has not let it make yet
    bool at_fork_site;   // it came into fork() from the gate's fork site
    uint64_t own_steps;  // logged ones and library calls, as stints count them
    bool ranked;         // it has a
    int64_t priority;    // of PCT
    uint64_t waits_from; // step of the schedule since which it could run, and did not
    bool on_break;       // it stands at a breakpoint and has been counted there: next it goes over

    // at breakpoints since its last landmark
    struct arrivals {
        uint64_t address, count;
    } * arrivals;
    int arrival_count, arrival_room;
    uint64_t yield_arrivals[SCHEDULE_YIELDS]; // ever, at each of the schedule's yield places
    char name[16];
    struct task *next; // in creation order
};

struct recorder {
    const struct record_options *options;
    struct record_result *result;
    struct trace_writer *trace;
    struct rf_error *err;
    int cpu;
    bool cpuid_faults; // ARCH_SET_CPUID works here
    bool tsc_traps;
    struct task *tasks; // all, dead ones are unlinked
    struct process *processes;
    struct task *current;
    struct task *unlogged; // the task whose entry is not yet in the trace
    int leader;            // first process
    uint64_t left_us;      // 0, or when it was gone and Ctrl-C had been pressed
    int left_interrupts;   // how often, then
    unsigned clock_age;
    uint64_t start_us, clock_us; // clock_us: the time of the present stop
    uint64_t slice_end_us;
    uint64_t rng;
    uint32_t mm_ids, task_numbers;
    bool failed; // a trace write failed, or an invariant of the tracee broke: *err says
    bool started;
    bool trace_lost;
    uint64_t last_flush_us;
    uint64_t since_digest;
    struct module_facts *modules;
    struct shared_file { // files that are, or were, mapped MAP_SHARED
        uint64_t dev, ino;
    } shared_files[256];
    int shared_count;
    struct gate *gate;             // NULL: none
    struct strategist *strategist; // NULL: time slices, or chaos
    bool stop_all;                 // stuck, or a signal asked to end
    uint64_t chaos_left;
    uint64_t others_ran;     // as mm.others_ran, of all
    bool fds_passed;         // over a socket: who holds which pipe cannot be told any more
    bool socket_timeouts;    // some socket gives up by itself
    uint64_t stuck_since_us; // somebody has been stuck since then, and it has not been said yet; 0: nobody
    unsigned stuck_turns;    // of the engine since then
    unsigned stuck_looks;    // in vain, since it was due
    struct made_file *made;  // pipes, sockets, ... that the recording made: files.c
    size_t made_count;
    unsigned idle_looks; // since somebody ran
    uint64_t looked_us;  // spent on single steps through loops with syscalls
    uint64_t spun_us;    // ... without
};

// ---- engine.c: the loop
int engine_run(struct recorder *r);
// Reads the clock (a real syscall: the engine's thread traps rdtsc, see engine_run) into r->clock_us.
uint64_t now_us(struct recorder *r);
// The same, but a reading may be a few stops old (never older than a tick of the timer).
uint64_t recent_us(struct recorder *r);
void set_landmark(struct task *t, const struct user_regs_struct *regs);
struct task *task_find(struct recorder *r, int tid);
struct task *task_new(struct recorder *r, int tid, struct process *p, struct mm *mm);
void task_ended(struct recorder *r, struct task *t, int status);
// Resumes t (request: PTRACE_CONT, PTRACE_SYSCALL, PTRACE_SINGLESTEP) and waits for its next stop; ticks may
// preempt it. False when it is gone.
bool run_until_stop(struct recorder *r, struct task *t, int request, int signal, int *status);
// Only waits.
bool wait_stop(struct recorder *r, struct task *t, int *status);
// Takes the stops of other tasks that have come meanwhile; never blocks.
void collect_stops(struct recorder *r);
void take_stop(struct recorder *r, struct task *t, int status);
// What the stop of t asks for. Afterwards t is READY, asleep or gone.
void dispatch(struct recorder *r, struct task *t, int status);
void kill_everything(struct recorder *r);
// A failure of the recording itself; the first one wins.
// The trace cannot be written any more (full disk): said at once; the program runs to its end without one.
void trace_failed(struct recorder *r, const struct rf_error *err);
void recorder_fail(struct recorder *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

// ---- log.c: events out
void log_event(struct recorder *r, struct task *t, struct event *e);
void log_note(struct recorder *r, struct task *t, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// An event in the making: pieces with copied data, freed by batch_log.
struct batch {
    struct event e;
    struct piece *pieces;
    size_t count, capacity;
    struct arena *arena;
};
void batch_init(struct batch *b, int kind, struct task *t);
void *batch_piece(struct batch *b, int kind, size_t len); // returns room for len bytes of data
struct piece *batch_last(struct batch *b);
// A MEM piece with what is in the tracee's memory now; false when unreadable (nothing added).
bool batch_mem(struct recorder *r, struct batch *b, struct task *t, int kind, uint64_t address, size_t len);
// Writes bytes into the tracee and adds the MEM piece.
bool batch_write(struct recorder *r, struct batch *b, struct task *t, uint64_t address, const void *bytes,
                 size_t len);
void batch_text(struct batch *b, int kind, const char *text, size_t len);
void batch_regs(struct batch *b, const struct user_regs_struct *regs);
void batch_xstate(struct batch *b, struct task *t);
void batch_log(struct recorder *r, struct task *t, struct batch *b);
void canonical_regs(struct user_regs_struct *regs);

// ---- launch.c
int launch(struct recorder *r);

// ---- syscall.c: entries and exits
void syscall_entry(struct recorder *r, struct task *t);    // at the seccomp or entry stop
void syscall_returned(struct recorder *r, struct task *t); // at the exit stop kept in t->stop
void log_unlogged_entry(struct recorder *r);
void syscall_settle(struct recorder *r, struct task *t);
void note_dispositions(struct recorder *r, struct task *t, int64_t ret);
void note_timers(struct task *t); // after a call of t that succeeded

// ---- births.c: clone, exec, exit
void task_clone(struct recorder *r, struct task *t);
bool task_forks(struct task *t); // the call at whose entry t is makes a new address space
void task_exec(struct recorder *r, struct task *t);
void task_exit_stop(struct recorder *r, struct task *t); // at PTRACE_EVENT_EXIT
void exec_image(struct recorder *r, struct task *t);     // logs EXEC for the image that t begins with

// ---- image.c: mappings, annex, patches
void annex_map(struct recorder *r, struct task *t, struct batch *b);
// After a successful mmap of a file: MAP and SHARE pieces, trap sites, eager binding.
void image_mapped(struct recorder *r, struct task *t, struct batch *b, uint64_t address, uint64_t length,
                  int prot, int flags, int fd, uint64_t offset);
// Modules whose slots have been relocated meanwhile get their stubs.
void image_patch_slots(struct recorder *r, struct task *t, struct batch *b);
// After a successful shmat.
void image_attached(struct recorder *r, struct task *t, struct batch *b, uint64_t address, int shmid,
                    bool read_only);
void image_exec_maps(struct recorder *r, struct task *t, struct batch *b);
// A write-like call has put `length` bytes into `fd`: FILE pieces when that file is mapped MAP_SHARED
// somewhere.
void image_file_written(struct recorder *r, struct task *t, struct batch *b, int fd, int64_t offset,
                        uint64_t length);
// A file, by descriptor or (fd < 0) by the path at `path`, has been cut or grown to `size`.
void image_file_cut(struct recorder *r, struct task *t, struct batch *b, int fd, uint64_t path,
                    uint64_t size);
void image_fork(struct mm *child, const struct mm *parent);
void image_release(struct mm *mm);
struct mm *mm_new(struct recorder *r, int tid);
void mm_unref(struct mm *mm);
void scratch_release(struct task *t);
// The task's scratch area when it has room for `size` bytes, else 0.
uint64_t scratch_area(struct task *t, uint64_t size);
long inject(struct recorder *r, struct task *t, long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
            uint64_t e, uint64_t f);
void clock_set_limit(struct mm *mm, uint64_t limit);
uint64_t clock_count(struct mm *mm);

// ---- modules.c
// What the recorder needs to know of an ELF file, worked out once per content. NULL: not an ELF file.
struct module_facts {
    uint64_t blob;
    bool elf, dynamic; // dynamic: has PT_INTERP or is a shared object that ld.so maps
    struct trap_site *traps;
    size_t trap_count;
    struct elf_slot *slots;
    size_t slot_count;
    int bind_now; // 1: write, 0: bound eagerly already, -1: no way (no PLT clock for this module)
    uint64_t bind_vaddr;
    uint8_t bind_bytes[16];
    size_t bind_len;
    struct load {
        uint64_t offset, vaddr, size;
        int prot;
    } loads[16];
    int load_count;
    struct module_facts *next;
};
// The load bias of a module of which file offset `offset` is mapped at `address`.
bool module_bias(const struct module_facts *f, uint64_t offset, uint64_t address, int prot, uint64_t *bias);
struct module_facts *module_facts(struct recorder *r, int fd, uint64_t blob);
// A file mapping [address, address+length) of `facts` at file offset: patches what must trap, makes binding
// eager, and (when the mapping begins the module) queues its slots.
void module_mapped(struct recorder *r, struct task *t, struct batch *b, struct module_facts *f,
                   uint64_t address, uint64_t length, int prot, uint64_t offset, bool queue_slots);
void modules_free(struct recorder *r);

// ---- sched.c
bool may_run(const struct recorder *r, const struct task *t);
struct task *slices_choose(struct recorder *r); // by time slices, or chaos
struct task *schedule(struct recorder *r);
bool others_ready(struct recorder *r, struct task *t);
void slice_begin(struct recorder *r, struct task *t);
bool slice_over(struct recorder *r);
uint64_t chaos_random(struct recorder *r);

// ---- strategy.c: schedules that depend on the program alone
void strategist_begin(struct recorder *r);
void strategist_end(struct recorder *r);
void strategist_free(struct recorder *r);
struct task *strategist_choose(struct recorder *r);
void strategist_resume(struct recorder *r, struct task *t); // t is about to run
bool strategist_slice_over(struct recorder *r);             // at a tick of the timer

// At a breakpoint with BREAK_STINT: does t's stint end here? Then, when the landmark has been made, it is over.
bool strategist_stint_ends(struct recorder *r, const struct task *t, const struct breakpoint *b,
                           bool *behind);
void strategist_stint_over(struct recorder *r, const struct task *t, const struct breakpoint *b);

// ---- gate.c: the fork gate
void gate_begin(struct recorder *r);
void gate_end(struct recorder *r); // before what is left is killed
void gate_free(struct recorder *r);
bool gate_holds(const struct recorder *r, const struct task *t);
void gate_poll(struct recorder *r);
bool gate_idle(struct recorder *r);
bool gate_due(const struct recorder *r); // something is to be decided by time: at the next landmark
bool gate_wants_sites(const struct recorder *r);
// The acquire site has been found; `problem`: why there can be no breakpoint.
void gate_site(struct recorder *r, const char *problem);
// The acquire site's breakpoint is to be on from the begin.
bool gate_acquire_matters(const struct recorder *r);
void gate_word(struct recorder *r, uint64_t address); // where the plan's lock word is
void gate_from(struct recorder *r, uint64_t address); // a place of the plan's `from` list has been found
bool gate_at_clone(struct recorder *r, struct task *t);
bool gate_let_go(struct recorder *r);            // the holder goes on after the fork; false: nobody is held
bool gate_child_loops(const struct recorder *r); // all its tasks only wait, one again and again
bool gate_lock_awaited(const struct recorder *r,
                       const struct task *t); // the child's task waits for the parked task's lock
void gate_forked(struct recorder *r, struct task *t, struct task *child);
void gate_fork_failed(struct recorder *r, struct task *t, int64_t ret);
void gate_exec(struct recorder *r, struct task *t);
void gate_ended(struct recorder *r, struct task *t, int status);

// ---- breakpoints.c: breakpoints
// NULL, or why no breakpoint may be at `address`. A role that is off costs nothing.
const char *breakpoint_add(struct recorder *r, struct task *t, uint64_t address, unsigned role, bool on);
void breakpoints_switch(struct mm *mm, unsigned role, bool on);
struct breakpoint *breakpoint_at(struct mm *mm, uint64_t pc);
bool breakpoints_within(const struct mm *mm, uint64_t start, uint64_t end);
void breakpoints_unmapped(struct mm *mm, uint64_t start, uint64_t end);
void breakpoints_fork(struct mm *child, const struct mm *parent);
// The int3s, into memory and out again.
void breakpoints_plant(struct mm *mm, bool in);
// Before t is resumed: over the breakpoint that it starts at. False: it is at a landmark again, or gone.
bool breakpoints_leave(struct recorder *r, struct task *t);
// t has executed an instruction and stands at regs->rip: if there is a breakpoint, makes the landmark that is wanted.
// False: made, or t is gone; true: t goes on (over the breakpoint) when it is resumed or stepped.
bool breakpoint_arrived(struct recorder *r, struct task *t, struct user_regs_struct *regs);
// At the int3 of a breakpoint.
void breakpoint_trap(struct recorder *r, struct task *t, struct user_regs_struct *regs);

// ---- places.c: what is to happen at breakpoints
// An executable file has been mapped into t's space.
void places_mapped(struct recorder *r, struct task *t, const struct module_facts *f, int fd, const char *name,
                   uint64_t address, uint64_t length, uint64_t offset);
enum break_wish { WISH_PASS, WISH_LAND, WISH_BEHIND };
enum break_wish breakpoint_wish(struct recorder *r, struct task *t, const struct breakpoint *b,
                                const struct user_regs_struct *regs);
enum break_wish gate_fork_entry(struct recorder *r, struct task *t, const struct user_regs_struct *regs);
enum break_wish gate_acquire(struct recorder *r, struct task *t, const struct user_regs_struct *regs);
enum break_wish gate_return(struct recorder *r, struct task *t, const struct user_regs_struct *regs);
void gate_landed(struct recorder *r, struct task *t);
void gate_returned(struct recorder *r, struct task *t);
// The landmark has been made.
void breakpoint_landed(struct recorder *r, struct task *t, const struct breakpoint *b);

// ---- preempt.c
// Executes one instruction of t, whose registers are *regs before and after; a breakpoint that it comes to counts.
// False: t is at a landmark, or gone, or not stoppable here: the caller leaves. t->stepping is set meanwhile,
// end_stepping called at the end.
bool step(struct recorder *r, struct task *t, struct user_regs_struct *regs);
// The same without a look at breakpoints.
enum { STEP_GONE, STEP_DONE, STEP_HELD }; // HELD: nothing was executed yet
int step_raw(struct recorder *r, struct task *t, struct user_regs_struct *regs);
void end_stepping(struct task *t);
void preempt_request(struct recorder *r, struct task *t); // asks for a landmark soon
bool in_site_stub(const struct mm *mm, uint64_t pc);
bool own_code(const struct mm *mm, uint64_t pc); // refork's own, put into the program
// Of own_code, what is not an instruction of the program that was displaced there.
bool own_instruction(const struct mm *mm, uint64_t pc);
// Executes one instruction of t, whose registers are *regs before and after. False: t is at a landmark, or gone,
// or not stoppable here: the caller leaves. t->stepping is set meanwhile, end_stepping called at the end.
bool step(struct recorder *r, struct task *t, struct user_regs_struct *regs);
void end_stepping(struct task *t);
void preempt_tick(struct recorder *r, struct task *t); // the timer, while t runs user code
void preempt_busy(struct recorder *r,
                  struct task *t); // at a PTRACE_INTERRUPT stop in user code: makes a landmark
// A slice of t has ended at a landmark that is no syscall.
void preempt_done(struct recorder *r, struct task *t);

// ---- traps.c
// At an int3 of ours (pc behind it) or a fault on the instruction itself (pc at it): carries it out and logs
// TRAP. false: it is none of those instructions, or would fault.
bool trapped_instruction(struct recorder *r, struct task *t, struct user_regs_struct *regs, bool int3);

// ---- signals.c
// At a signal-delivery-stop of t with status: handles it, leaves t at a landmark or logs nothing and wants it
// resumed.
void signal_stop(struct recorder *r, struct task *t, int status);
bool signals_deliverable(struct recorder *r, struct task *t);
// At a landmark: delivers the first held signal. `at`: 0 in a signal-delivery-stop or syscall-exit-stop, 1 at
// a syscall's entry.
void signal_deliver(struct recorder *r, struct task *t, enum signal_place at);
bool same_regs(const struct user_regs_struct *a, const struct user_regs_struct *b);
// Takes the signal of the present signal-delivery-stop and keeps it for a landmark.
void signal_hold(struct task *t);
void sighand_exec(struct recorder *r, struct task *t);

// ---- stuck.c
// `t`: the task that has just gone to sleep in a futex, or has come round in its loop (recorder/waits/wait_loop.h), while others
// run; NULL: nobody can run. Tasks must be at landmarks.
void stuck_check(struct recorder *r, struct task *t);
// Something was found to be stuck a while ago: it is to be said now, whatever the others do.
bool stuck_due(const struct recorder *r);
// Whether stuck_check would find something if the tasks were at landmarks.
bool stuck_possible(struct recorder *r);

#endif
