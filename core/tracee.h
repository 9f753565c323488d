// Memory and registers of a ptraced task: thin, shared by recorder and replayer.
#ifndef REFORK_CORE_TRACEE_H
#define REFORK_CORE_TRACEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

// Reads the tracee's memory: returns true when all `len` bytes could be read.
typedef bool (*tracee_reader)(void *context, uint64_t address, void *buffer, size_t len);

// Reads or writes memory of a stopped task's address space. Reads ignore nothing: false when any byte is
// unmapped. tracee_write goes through /proc/PID/mem and so ignores page protection (text, RELRO). `mem_fd`:
// an open /proc/PID/mem of that address space.
bool tracee_read(pid_t tid, int mem_fd, uint64_t address, void *buffer, size_t len);
bool tracee_write(int mem_fd, uint64_t address, const void *buffer, size_t len);
// The bytes at `address` that an instruction there may have; 0 where nothing is mapped.
enum { CODE_LONGEST = 15 };
void tracee_read_code(pid_t tid, int mem_fd, uint64_t address, uint8_t code[CODE_LONGEST]);
// process_vm_writev first: cheaper (0.37 us), respects protection; falls back to mem_fd.
bool tracee_poke(pid_t tid, int mem_fd, uint64_t address, const void *buffer, size_t len);

// Opens /proc/PID/mem read-write (close-on-exec, at a high number); -1 with errno.
int tracee_open_mem(pid_t tid);
// Moves fd to a high number (>= 700) with close-on-exec, so that small numbers stay free; returns the new fd,
// or fd.
int fd_raise(int fd);

bool tracee_get_regs(pid_t tid, struct user_regs_struct *regs);
bool tracee_set_regs(pid_t tid, const struct user_regs_struct *regs);
// A stop before a task executes the instruction at `address`: by debug register 3, the others stay as they are; where debug
// registers stop nobody, by an int3.
struct tracee_stop {
    uint64_t address; // 0: nothing is set
    bool byte;        // an int3, in place of
    uint8_t own;
};
// False: neither can be had. `mem_fd` as above.
bool tracee_stop_at(pid_t tid, int mem_fd, uint64_t address, struct tracee_stop *stop);
// Takes it away. `status`: how the task, which was let run, has stopped (0: it has not). True: at that stop, with rip at the
// address.
bool tracee_stop_end(pid_t tid, int mem_fd, struct tracee_stop *stop, int status);

// For a step over popf or iret the kernel does not note that TF is its own (arch/x86/kernel/step.c, is_setting_trap_flag): it is
// still set behind, or when the instruction was not executed, and would stay. So behind a step of a task whose registers were
// `before` without TF, at an instruction with these bytes: has the program set it by that instruction?
bool tracee_pops_trap_flag(pid_t tid, int mem_fd, const struct user_regs_struct *before, const uint8_t *code);

// NT_X86_XSTATE. Returns the number of bytes (0: failed). XSTATE_MAX is enough for AVX-512 and AMX (11,008
// B).
#define XSTATE_MAX 16384
size_t tracee_get_xstate(pid_t tid, void *buffer, size_t size);
bool tracee_set_xstate(pid_t tid, const void *buffer, size_t size);

// The trap flag, and the resume flag, which the kernel keeps. Neither is compared. TF is recorded where the program has set it:
// PTRACE_GETREGS hides the one of a single step (get_flags in arch/x86/kernel/ptrace.c).
#define EFLAGS_TF      0x100ull
#define EFLAGS_RF      0x10000ull
#define EFLAGS_IGNORED (EFLAGS_TF | EFLAGS_RF)

// XXH3-64 of the x87 and xmm registers and mxcsr (PTRACE_GETFPREGS).
uint64_t tracee_fp_digest(pid_t tid);

// Tells the kernel not to send SIGCHLD at a tracee's stop, as who waits in waitpid needs none: measured, 0.7 us of 7 for a
// stop. SIGCHLD at an end, and a handler that is installed, stay as they are. An exec undoes it.
void tracee_quiet_stops(void);

// The state letter of /proc/TID/stat ('R', 'S', 'D', 't', 'Z', ...), 0 when the task is gone.
char task_state_letter(pid_t tid);
// Closes the files that task_state_letter keeps open in this thread: for a process that is to hold none of its parent's.
void tracee_close_files(void);

#endif
