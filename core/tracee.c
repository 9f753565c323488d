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

enum { DIGEST_BATCH = 256 };

struct digest {
    XXH3_state_t *state;
    int mem_fd;
    uint64_t bytes;
    char buffer[DIGEST_BATCH * PAGE];
};

static void digest_run(struct digest *d, uint64_t address, size_t pages) {
    static const char zero[PAGE];
    ssize_t n = pread(d->mem_fd, d->buffer, pages * PAGE, (off_t)address);
    for (size_t i = 0; n > 0 && i < (size_t)n / PAGE; i++) {
        const char *page = d->buffer + i * PAGE;
        if (!memcmp(page, zero, PAGE)) continue;
        uint64_t at = address + i * PAGE;
        XXH3_64bits_update(d->state, &at, sizeof at);
        XXH3_64bits_update(d->state, page, PAGE);
        d->bytes += PAGE;
    }
}

// Bit 63 present, 62 swapped, 61 file-backed or shared (Documentation/admin-guide/mm/pagemap.rst). A page that the kernel is migrating at
// this moment (compaction) shows as swapped, and bit 61 depends on how far it is (by reading mm/migrate.c; not seen on a machine
// yet): reading the page waits for that, and swaps a swapped one in; then its entry tells.
static bool is_private(int pagemap, int mem_fd, uint64_t entry, uint64_t address) {
    for (int tries = 0; entry >> 62 & 1 && tries < 1000; tries++) {
        char byte;
        if (pread(mem_fd, &byte, 1, (off_t)address) != 1 ||
            pread(pagemap, &entry, 8, (off_t)(address / PAGE * 8)) != 8)
            break;
    }
    return entry >> 62 && !(entry >> 61 & 1);
}

uint64_t memory_digest(pid_t pid, int mem_fd, uint64_t *bytes) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
    scoped_fd int pagemap = open(path, O_RDONLY | O_CLOEXEC);
    scoped_maps struct proc_maps maps;
    struct proc_map map;
    proc_maps_open(&maps, pid);
    struct digest *d = malloc(sizeof *d);
    d->state = XXH3_createState();
    XXH3_64bits_reset(d->state);
    d->mem_fd = mem_fd;
    d->bytes = 0;
    while (proc_maps_next(&maps, &map)) {
        // Code that cannot be written holds the file's bytes and refork's patches; whether a page of it was
        // ever copied for a patch that has been taken back differs between recording and replay.
        bool fixed_code = map.prot & PROT_EXEC && !(map.prot & PROT_WRITE);
        if (map.shared || fixed_code || annex_contains(map.start) || strstr(map.name, "[v"))
            continue; // [vdso], [vvar], [vsyscall]
        uint64_t entries[DIGEST_BATCH];
        for (uint64_t at = map.start; at < map.end;) {
            size_t want =
                (map.end - at) / PAGE < DIGEST_BATCH ? (size_t)((map.end - at) / PAGE) : DIGEST_BATCH;
            ssize_t n = pread(pagemap, entries, want * 8, (off_t)(at / PAGE * 8));
            if (n <= 0) break;
            size_t got = (size_t)n / 8;
            for (size_t i = 0; i < got;) {
                if (!is_private(pagemap, mem_fd, entries[i], at + i * PAGE)) {
                    i++;
                    continue;
                }
                size_t j = i;
                while (j < got && is_private(pagemap, mem_fd, entries[j], at + j * PAGE))
                    j++;
                digest_run(d, at + i * PAGE, j - i);
                i = j;
            }
            at += got * PAGE;
        }
    }
    uint64_t result = XXH3_64bits_digest(d->state);
    if (bytes) *bytes = d->bytes;
    XXH3_freeState(d->state);
    free(d);
    return result;
}
