#include "recorder/launch/launch.h"

#include "core/calls/call_page.h"
#include "recorder/lifecycle.h"
#include "recorder/mask.h"
#include "recorder/run.h"
#include "recorder/seen_writes.h"
#include "recorder/launch/sanitizer.h"
#include "recorder/state.h"
#include "recorder/task.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

// What the child reports through a close-on-exec pipe when it cannot exec.
struct exec_failure {
    int stage; // 0 exec, 1 seccomp
    int error;
};

static void child_fail(int pipe_fd, int stage, int error) {
    struct exec_failure f = {stage, error};
    ssize_t ignored = write(pipe_fd, &f, sizeof f);
    (void)ignored;
    _exit(126);
}

// What comes from CALL_SYSCALL passes: calls that the program makes by itself (core/calls/call_page.h).
static size_t pass_own_calls(struct sock_filter *f) {
    enum { AT = offsetof(struct seccomp_data, instruction_pointer) };
    const uint64_t pc = CALL_SYSCALL + 2;
    f[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT);
    f[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)pc, 0, 3);
    f[2] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT + 4);
    f[3] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(pc >> 32), 0, 1);
    f[4] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    return 5;
}

// A filter that stops at every other call, as BPF. Made before the fork: the writer's helper thread runs by then, so the child must not allocate (its
// copy of an allocator's lock may be held by a thread that it does not have; AddressSanitizer's allocator showed it).
struct filter {
    struct sock_filter code[64];
    struct sock_fprog program; // of that code: a filter stays where it was made
};

static int make_filter(struct filter *out, struct rf_error *err) {
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRACE(0));
    int fd = memfd_create("refork-filter", MFD_CLOEXEC);
    // i386 and x32 calls (bit 30 of the number, so all negative ones, too) are told of as well, instead of ending the program.
    if (ctx) seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_TRACE(0));
    int error = ctx && fd >= 0 ? -seccomp_export_bpf(ctx, fd) : ENOMEM;
    size_t own = pass_own_calls(out->code), room = sizeof out->code - own * sizeof *out->code;
    ssize_t n = error ? -1 : pread(fd, out->code + own, room, 0);
    if (ctx) seccomp_release(ctx);
    if (fd >= 0) close(fd);
    if (n <= 0 || n == (ssize_t)room)
        return rf_fail(err, RF_CANNOT, "cannot make the seccomp filter: %s",
                       strerror(error ? error : EINVAL));
    out->program = (struct sock_fprog){(unsigned short)(own + (size_t)n / sizeof *out->code), out->code};
    return 0;
}

// What the child is to execute. `file` is where a search of PATH has found it, or NULL: each try of execvpe is a call, and so a
// stop. execvpe comes after it all the same, for what execve alone does not do (a script without an interpreter's line).
struct program {
    const char *file;
    char **environment;
};

static void child_main(struct recorder *r, int go, int report, const struct sock_fprog *filter,
                       const struct program *program) {
    char byte;
    if (read(go, &byte, 1) != 1) _exit(126); // until the recorder has seized us
    if (!r->options->aslr) {
        int old = personality(0xffffffff);
        if (old >= 0) personality((unsigned long)old | ADDR_NO_RANDOMIZE);
    }
    prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0);
    // Every call stops from here on; to_first_exec lets these pass. CAP_SYS_ADMIN does not need no_new_privs, and
    // set-user-ID programs of a traced process lose their privilege anyway.
    bool loaded = geteuid() == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter) == 0;
    if (!loaded && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
                    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter) < 0))
        child_fail(report, 1, errno);
    if (program->file) execve(program->file, r->options->argv, program->environment);
    execvpe(r->options->argv[0], r->options->argv, program->environment);
    child_fail(report, 0, errno);
}

static int exec_error(struct recorder *r, const struct exec_failure *f, struct rf_error *err) {
    const char *program = r->options->argv[0];
    if (f->stage == 1)
        return rf_fail(err, RF_CANNOT, "the kernel refused the seccomp filter (%s): run 'refork doctor'",
                       strerror(f->error));
    if (f->error == ENOENT)
        return rf_fail(err, RF_NOT_FOUND, "'%s' not found: check the name and PATH", program);
    return rf_fail(err, RF_NOT_EXECUTABLE, "cannot execute '%s': %s", program, strerror(f->error));
}

// Lets the child run to its first exec; its own calls on the way there are nobody's business.
static int to_first_exec(struct recorder *r, pid_t pid, int report, struct rf_error *err) {
    for (;;) {
        int status;
        if (waitpid(pid, &status, __WALL) < 0) {
            if (errno == EINTR) continue;
            return rf_fail_errno(err, RF_CANNOT, "lost the program before it began");
        }
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            struct exec_failure f;
            if (read(report, &f, sizeof f) == (ssize_t)sizeof f) return exec_error(r, &f, err);
            return rf_fail(err, RF_CANNOT, "'%s' died before it began (wait status 0x%x)",
                           r->options->argv[0], status);
        }
        int event = status >> 16, sig = WSTOPSIG(status);
        if (event == PTRACE_EVENT_EXEC) return 0;
        if (event || sig == SIGTRAP || sig == (SIGTRAP | 0x80)) sig = 0;
        if (ptrace(PTRACE_CONT, pid, 0, sig) < 0 && errno != ESRCH)
            return rf_fail_errno(err, RF_CANNOT, "cannot resume the program");
    }
}

int launch(struct recorder *r, struct rf_error *err) {
    int go[2], report[2];
    struct filter filter;
    if (make_filter(&filter, err) < 0) return -1;
    if (pipe2(go, O_CLOEXEC) < 0 || pipe2(report, O_CLOEXEC) < 0)
        return rf_fail_errno(err, RF_CANNOT, "cannot make a pipe");
    // High numbers, so that the program sees the descriptors that it would have without us.
    for (int i = 0; i < 2; i++) {
        go[i] = fd_raise(go[i]);
        report[i] = fd_raise(report[i]);
    }
    char file[4096];
    struct program program = {.file = program_file(r->options->argv[0], file, sizeof file)};
    program.environment = sanitizer_environment(program.file);
    pid_t pid = fork();
    if (pid < 0) return rf_fail_errno(err, RF_CANNOT, "cannot fork");
    if (!pid) {
        // Held open here, the pipe would never end: the child of a killed recorder would wait for ever.
        close(go[1]);
        close(report[0]);
        child_main(r, go[0], report[1], &filter.program, &program);
    }
    close(go[0]);
    close(report[1]);
    if (ptrace(PTRACE_SEIZE, pid, 0, TRACE_OPTIONS) < 0) {
        int e = errno;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, __WALL);
        errno = e;
        return rf_fail_errno(err, RF_CANNOT,
                             "the kernel refused ptrace (a container without SYS_PTRACE? yama's "
                             "ptrace_scope? run 'refork doctor')");
    }
    ssize_t ignored = write(go[1], "", 1);
    (void)ignored;
    int result = to_first_exec(r, pid, report[0], err);
    close(go[1]);
    close(report[0]);
    if (result < 0) return -1;
    r->leader = pid;
    struct process *p = calloc(1, sizeof *p);
    p->pid = pid;
    p->parent_pid = getpid();
    p->sighand = calloc(1, sizeof *p->sighand);
    p->sighand->refs = 1;
    p->next = r->processes;
    r->processes = p;
    struct task *t = task_new(r, pid, p, mm_new(r, pid));
    if (!r->options->aslr)
        t->addresses = personality(0xffffffff) & ADDR_NO_RANDOMIZE ? ADDRESSES_FIXED : ADDRESSES_HELD;
    t->fds = fdtable_new();
    r->started = r->result->started = true;
    // Signals that refork was started with ignored (nohup) stay ignored over exec.
    for (int s = 1; s < 65; s++) {
        struct sigaction sa;
        if (sigaction(s, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN) p->sighand->handler[s] = 1;
    }
    mask_changed(t);
    exec_image(r, t);
    seen_writes_inherited(r, t);
    if (!r->failed) return 0;
    *err = r->failure;
    return -1;
}
