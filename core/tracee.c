#include "core/tracee.h"

#include "core/abi.h"
#include "core/annex.h"
#include "core/cpu/debug_registers.h"
#include "core/guard.h"
#include "core/proc_maps.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <elf.h>
#include <xxhash.h>

bool tracee_read(pid_t tid, int mem_fd, uint64_t address, void *buffer, size_t len) {
    if (!len) return true;
    struct iovec local = {buffer, len}, remote = {(void *)address, len};
    if (process_vm_readv(tid, &local, 1, &remote, 1, 0) == (ssize_t)len) return true;
    // PROT_NONE and device pages, or a task that shares the address space but is gone: /proc/PID/mem reads
    // them.
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(mem_fd, (char *)buffer + done, len - done, (off_t)(address + done));
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

void tracee_read_code(pid_t tid, int mem_fd, uint64_t address, uint8_t code[CODE_LONGEST]) {
    size_t to_page_end = next_page(address) - address;
    memset(code, 0, CODE_LONGEST);
    if (!tracee_read(tid, mem_fd, address, code, CODE_LONGEST) && to_page_end < CODE_LONGEST)
        tracee_read(tid, mem_fd, address, code, to_page_end);
}

bool tracee_write(int mem_fd, uint64_t address, const void *buffer, size_t len) {
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(mem_fd, (const char *)buffer + done, len - done, (off_t)(address + done));
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

bool tracee_poke(pid_t tid, int mem_fd, uint64_t address, const void *buffer, size_t len) {
    if (!len) return true;
    struct iovec local = {(void *)buffer, len}, remote = {(void *)address, len};
    if (process_vm_writev(tid, &local, 1, &remote, 1, 0) == (ssize_t)len) return true;
    return tracee_write(mem_fd, address, buffer, len);
}

enum { ENABLE_3 = 1 << 6 }; // RW3 and LEN3 of 0: execution (SDM vol. 3, 17.2.4)

static bool control_register(pid_t tid, bool on) {
    errno = 0;
    long control = ptrace(PTRACE_PEEKUSER, tid, offsetof(struct user, u_debugreg[7]), 0);
    if (errno) return false;
    control = on ? control | ENABLE_3 : control & ~ENABLE_3;
    return ptrace(PTRACE_POKEUSER, tid, offsetof(struct user, u_debugreg[7]), control) == 0;
}

bool tracee_stop_at(pid_t tid, int mem_fd, uint64_t address, struct tracee_stop *stop) {
    *stop = (struct tracee_stop){.byte = !debug_registers_work()};
    if (stop->byte) {
        if (!tracee_read(tid, mem_fd, address, &stop->own, 1) || !tracee_write(mem_fd, address, "\xcc", 1))
            return false;
    } else if (ptrace(PTRACE_POKEUSER, tid, offsetof(struct user, u_debugreg[3]), address) < 0 ||
               !control_register(tid, true)) {
        return false;
    }
    stop->address = address;
    return true;
}

bool tracee_stop_end(pid_t tid, int mem_fd, struct tracee_stop *stop, int status) {
    struct user_regs_struct regs;
    siginfo_t info;
    uint64_t address = stop->address;
    if (!address) return false;
    stop->address = 0;
    if (stop->byte)
        tracee_write(mem_fd, address, &stop->own, 1);
    else
        control_register(tid, false);
    bool trap = WIFSTOPPED(status) && status >> 8 == SIGTRAP &&
                ptrace(PTRACE_GETSIGINFO, tid, 0, &info) == 0 && tracee_get_regs(tid, &regs);
    if (!trap) return false;
    if (!stop->byte) return info.si_code == TRAP_HWBKPT && regs.rip == address;
    if (info.si_code != SI_KERNEL || regs.rip != address + 1) return false;
    regs.rip = address;
    return tracee_set_regs(tid, &regs);
}

int fd_raise(int fd) {
    if (fd < 0) return fd;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 700);
    if (high < 0) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        return fd;
    }
    close(fd);
    return high;
}

int tracee_open_mem(pid_t tid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", tid);
    return fd_raise(open(path, O_RDWR | O_CLOEXEC));
}

bool tracee_get_regs(pid_t tid, struct user_regs_struct *regs) {
    return ptrace(PTRACE_GETREGS, tid, 0, regs) == 0;
}

bool tracee_set_regs(pid_t tid, const struct user_regs_struct *regs) {
    return ptrace(PTRACE_SETREGS, tid, 0, regs) == 0;
}

bool tracee_pops_trap_flag(pid_t tid, int mem_fd, const struct user_regs_struct *before,
                           const uint8_t *code) {
    enum { POPF = 0x9d, IRET = 0xcf, OPERAND_SIZE = 0x66, REX = 0x40 };
    const uint8_t opcode = code[code[0] == OPERAND_SIZE || (code[0] & 0xf0) == REX];
    uint16_t flags;
    if (opcode != POPF && opcode != IRET) return false;
    const uint64_t popped = before->rsp + (opcode == IRET ? 16 : 0); // behind pc and segment
    return tracee_read(tid, mem_fd, popped, &flags, sizeof flags) && flags & EFLAGS_TF;
}

size_t tracee_get_xstate(pid_t tid, void *buffer, size_t size) {
    struct iovec v = {buffer, size};
    return ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &v) == 0 ? v.iov_len : 0;
}

bool tracee_set_xstate(pid_t tid, const void *buffer, size_t size) {
    struct iovec v = {(void *)buffer, size};
    return ptrace(PTRACE_SETREGSET, tid, NT_X86_XSTATE, &v) == 0;
}

uint64_t tracee_fp_digest(pid_t tid) {
    struct user_fpregs_struct f;
    if (ptrace(PTRACE_GETFPREGS, tid, 0, &f) < 0) return 0;
    // Not the pointers of the last x87 instruction (rip, rdp, fop): they need not survive a switch.
    uint64_t sum = XXH3_64bits(f.xmm_space, sizeof f.xmm_space);
    return XXH3_64bits_withSeed(f.st_space, sizeof f.st_space, sum + f.mxcsr);
}

void tracee_quiet_stops(void) {
    struct sigaction sa;
    if (sigaction(SIGCHLD, NULL, &sa) || sa.sa_handler != SIG_DFL || sa.sa_flags & SA_NOCLDSTOP) return;
    sa.sa_flags |= SA_NOCLDSTOP;
    sigaction(SIGCHLD, &sa, NULL);
}

// The recorder asks at each call that may sleep, for a few tasks by turns: their files stay open. (Opened anew, and as
// /proc/TID/stat, which adds up the times of all threads, it took 6 us.)
static _Thread_local struct {
    pid_t tid;
    int fd;
} open_files[16];

void tracee_close_files(void) {
    for (size_t i = 0; i < sizeof open_files / sizeof *open_files; i++)
        if (open_files[i].tid) close(open_files[i].fd);
    memset(open_files, 0, sizeof open_files);
}

static ssize_t read_stat(pid_t tid, char *text, size_t size) {
    __typeof__(*open_files) *f = &open_files[(unsigned)tid % (sizeof open_files / sizeof *open_files)];
    ssize_t n = f->tid == tid ? pread(f->fd, text, size, 0) : -1;
    if (n > 0) return n;
    if (f->tid) close(f->fd);
    f->tid = 0;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", tid, tid);
    f->fd = fd_raise(open(path, O_RDONLY | O_CLOEXEC));
    if (f->fd < 0) return -1;
    f->tid = tid;
    return read(f->fd, text, size);
}

char task_state_letter(pid_t tid) {
    char text[512];
    ssize_t n = read_stat(tid, text, sizeof text - 1);
    if (n <= 0) return 0;
    text[n] = 0;
    char *end = strrchr(text, ')'); // the name may hold anything, also ')'
    return end && end[1] ? end[2] : 0;
}
