#include "search/run_once.h"

#include "core/clock.h"
#include "core/tracee.h"
#include "search/interrupt.h"
#include "search/name_pc.h"
#include "search/owner_look.h"
#include "search/second_look.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

// A recording that was told to end, and does not, is killed; its tasks die with it (PTRACE_O_EXITKILL).
enum {
    GRACE_MS = 5000,
    // The recorder's own limit counts no time without a CPU, but a 32nd of it at least (recorder/end/served.c): this one is for a
    // recorder that hangs.
    STARVED = 40,
    ASK_MS = 1000
};

struct report {
    struct record_result result;
    int failed;
    struct rf_error err;
};

int run_once_save_schedule(const char *path, const struct schedule *plan, const struct schedule *made,
                           struct rf_error *err) {
    struct schedule all = plan ? *plan : (struct schedule){0};
    all.strategy = STRATEGY_SWITCHES;
    all.segment_count = 0;
    all.switches = made->switches;
    all.switch_count = made->switch_count;
    return schedule_save(path, &all, err);
}

// ---- the recording process

static void redirect(const struct run_once *run) {
    int in = open(run->input ? run->input : "/dev/null", O_RDONLY);
    int out = run->program_output ? open(run->program_output, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0666)
                                  : open("/dev/null", O_WRONLY);
    if (in < 0 || out < 0) _exit(RF_CANNOT);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    if (in > STDERR_FILENO) close(in);
    if (out > STDERR_FILENO) close(out);
}

static void record(const struct run_once *run, int to) {
    // A program that signals its process group must not hit the one that counts the runs.
    setpgid(0, 0);
    interrupt_restore();
    redirect(run);
    if (run->environment) environ = (char **)run->environment;
    struct schedule saved = {0};
    struct report report = {0};
    const struct record_options options = {
        .output = run->output,
        .argv = run->argv,
        .aslr = run->aslr,
        .keep_going = run->keep_going,
        .schedule = run->schedule,
        .saved = run->save_schedule || run->count_steps ? &saved : NULL,
        .cpus = run->cpus,
        .cpu = run->cpu,
        .no_probes = run->no_probes,
        .limit_ms = run->timeout_ms,
        .patient_ms = run->patient_ms,
        .gate_only = run->gate_only,
        .name_pc = name_pc,
        .released = owner_look,
        .second_look = second_look_start,
    };
    report.failed = record_run(&options, &report.result, &report.err);
    if (!report.failed && run->save_schedule)
        report.failed = run_once_save_schedule(run->save_schedule, run->schedule, &saved, &report.err);
    _exit(write(to, &report, sizeof report) == sizeof report ? 0 : RF_CANNOT);
}

// ---- the caller's side

// The whole report: 1; 0 it ended without one; -1 it is to be killed.
static int receive(int from, struct report *report, const struct run_once *run, bool *given_up) {
    uint64_t begin = clock_us(CLOCK_MONOTONIC) / 1000, asked = begin;
    uint64_t longest = run->patient_ms > run->timeout_ms ? run->patient_ms : run->timeout_ms;
    size_t got = 0;
    while (got < sizeof *report) {
        uint64_t now = clock_us(CLOCK_MONOTONIC) / 1000;
        if (interrupted()) return -1;
        if (run->timeout_ms && now - begin > longest * STARVED + GRACE_MS) return -1;
        if (run->give_up && now - asked >= ASK_MS) {
            asked = now;
            *given_up = run->give_up(run->context);
            if (*given_up) return -1;
        }
        struct pollfd p = {.fd = from, .events = POLLIN};
        if (poll(&p, 1, 100) <= 0) continue;
        ssize_t n = read(from, (char *)report + got, sizeof *report - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return 0;
        got += (size_t)n;
    }
    return 1;
}

int run_once(const struct run_once *run, struct run_once_result *result, struct rf_error *err) {
    int ends[2], status = 0;
    uint64_t begin = clock_us(CLOCK_MONOTONIC);
    *result = (struct run_once_result){0};
    if (interrupted()) return rf_fail(err, RF_CANNOT, "interrupted");
    if (pipe2(ends, O_CLOEXEC) < 0) return rf_fail_errno(err, RF_CANNOT, "cannot make a pipe");
    ends[1] = fd_raise(ends[1]);
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        return rf_fail_errno(err, RF_CANNOT, "cannot fork");
    }
    if (!pid) {
        close(ends[0]);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(RF_CANNOT);
        record(run, ends[1]);
    }
    close(ends[1]);
    struct report report;
    int got = receive(ends[0], &report, run, &result->given_up);
    close(ends[0]);
    if (got < 0) kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    result->ms = (clock_us(CLOCK_MONOTONIC) - begin) / 1000;
    if (interrupted()) return rf_fail(err, RF_CANNOT, "interrupted");
    if (result->given_up) return 0;
    if (got < 0) {
        result->timed_out = result->record.started = true;
        return 0;
    }
    result->record.started =
        !got && WIFSIGNALED(status); // refork's own process died, of whatever the program did
    if (!got)
        return rf_fail(err, RF_CANNOT, "the recording of '%s' broke off (wait status 0x%x)", run->argv[0],
                       (unsigned)status);
    result->record = report.result;
    result->timed_out = report.result.timed_out;
    if (report.failed) {
        if (err) *err = report.err;
        return -1;
    }
    return 0;
}
