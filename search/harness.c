#include "search/harness.h"

#include "core/array.h"
#include "core/guard.h"
#include "core/path.h"
#include "core/printable.h"
#include "replayer/diagnose/proc.h"
#include "replayer/watch/watch.h"
#include "search/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    STRINGS_MOST = 4 << 20, // bytes of a command line or an environment
    LAST_LOOKS = 2,         // when the harness has ended: a wait is seen by two looks
};

// Strings one behind the other, each with its NUL, as /proc has them.
struct strings {
    char *bytes;
    size_t len;
};

// A program that hung, as it was started.
struct hung {
    int pid;
    uint64_t start;
    struct strings arguments, environment;
    char folder[PATH_MAX], written[PATH_MAX];
};

struct harness {
    const struct harness_options *options;
    struct watch_options watching;
    struct watch *watch;
    int command; // PID; 0: it has ended
    bool signaled;
    int value;
    char notes
        [64]; // the folder where a harness leaves the command line of the test that it is at; "": there is none
    struct hung *hung;
    size_t hung_count;
    int *stuck; // found in the present look
    size_t stuck_count;
};

static bool read_strings(const char *path, struct strings *out) {
    scoped_file FILE *f = fopen(path, "re");
    if (!f) return false;
    *out = (struct strings){.bytes = malloc(STRINGS_MOST + 1)};
    rf_assert(out->bytes);
    out->len = fread(out->bytes, 1, STRINGS_MOST, f);
    out->bytes[out->len] = 0;
    if (out->len && out->len < STRINGS_MOST) return true;
    free(out->bytes);
    *out = (struct strings){0};
    return false;
}

// The strings as exec wants them; the array is the caller's.
static char **vector(const struct strings *s) {
    char **v = NULL;
    size_t count = 0;
    for (size_t at = 0; at < s->len; at += strlen(s->bytes + at) + 1)
        array_push(v, count, s->bytes + at);
    array_push(v, count, NULL);
    return v;
}

// ---- what hangs

// The process that began the program that `pid` runs: the nearest one that is not a mere fork.
static struct proc_task program_of(int pid) {
    struct proc_task t = {0}, parent;
    if (!proc_task(pid, &t)) return t;
    while (t.forked && proc_task(t.parent, &parent) && parent.process != getpid() &&
           proc_same_program(t.tid, parent.tid))
        t = parent;
    return t;
}

// A harness that runs tests in its own process says which one it is at, in a file of its PID.
static bool read_command(const struct harness *h, int pid, struct strings *out) {
    char path[PATH_MAX];
    if (h->notes[0]) {
        snprintf(path, sizeof path, "%s/%d", h->notes, pid);
        if (read_strings(path, out)) return true;
    }
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    return read_strings(path, out);
}

static bool is_known(const struct harness *h, const struct proc_task *test) {
    for (size_t i = 0; i < h->hung_count; i++)
        if (h->hung[i].pid == test->tid && h->hung[i].start == test->start) return true;
    return false;
}

// `test`: the process that stands for the test. Of a harness that runs tests in its own process it is the one that hangs.
static void add_hung(struct harness *h, const struct proc_task *program, const struct proc_task *test,
                     const char *written) {
    char path[64];
    struct hung new = {.pid = test->tid, .start = test->start};
    if (is_known(h, test) || !read_command(h, program->tid, &new.arguments)) return;
    snprintf(path, sizeof path, "/proc/%d/environ", program->tid);
    read_strings(path, &new.environment);
    snprintf(path, sizeof path, "/proc/%d/cwd", program->tid);
    ssize_t n = readlink(path, new.folder, sizeof new.folder - 1);
    new.folder[n > 0 ? n : 0] = 0;
    snprintf(new.written, sizeof new.written, "%s", written);
    array_push(h->hung, h->hung_count, new);
}

static void end_family(int pid) {
    size_t count;
    scoped_free int *children = proc_children(pid, &count);
    kill(pid, SIGKILL);
    for (size_t i = 0; i < count; i++)
        end_family(children[i]);
}

// The harness itself goes on: it is only the child that hangs that is ended then.
static void end_test(struct harness *h, int pid, int program) {
    end_family(program == h->command || program == 0 ? pid : program);
}

static void on_stuck(void *context, int pid, const char *written) {
    struct harness *h = context;
    struct proc_task program = program_of(pid), stuck;
    if (!program.tid || !proc_task(pid, &stuck)) return;
    add_hung(h, &program, program.tid == h->command ? &stuck : &program, written);
    array_push(h->stuck, h->stuck_count, pid);
}

static void end_stuck(struct harness *h) {
    for (size_t i = 0; i < h->stuck_count; i++)
        end_test(h, h->stuck[i], program_of(h->stuck[i]).tid);
    h->stuck_count = 0;
}

// ---- a test that runs for too long

static uint64_t age_ms(const struct proc_task *t) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t tick = (uint64_t)sysconf(_SC_CLK_TCK);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    uint64_t start_ms = t->start * 1000 / tick;
    return now_ms > start_ms ? now_ms - start_ms : 0;
}

// Has a program been started below `pid`? Then that one is the test.
static bool has_programs(int pid) {
    size_t count;
    scoped_free int *children = proc_children(pid, &count);
    for (size_t i = 0; i < count; i++) {
        struct proc_task t;
        if (proc_task(children[i], &t) && t.state != 'Z' && (!t.forked || has_programs(children[i])))
            return true;
    }
    return false;
}

static void look_for_late(struct harness *h) {
    size_t count;
    if (!h->options->timeout_ms) return;
    const struct watch_target all = {.pid = h->watching.target.pid, .start = h->watching.target.start};
    scoped_free int *pids = watch_target_list(&all, &count);
    for (size_t i = 0; i < count; i++) {
        struct proc_task t;
        if (!proc_task(pids[i], &t) || t.forked || t.state == 'Z' || age_ms(&t) < h->options->timeout_ms)
            continue;
        if (is_known(h, &t) || has_programs(t.tid)) continue;
        print_clean(stderr, "refork: process %d (%s) has run for more than %" PRIu64 " s: it is ended\n",
                    t.tid, t.name, h->options->timeout_ms / 1000);
        add_hung(h, &t, &t, "");
        end_family(t.tid);
    }
}

// ---- the harness runs

static int begin(struct harness *h, struct rf_error *err) {
    scoped_fd int said = -1;
    int ends[2], problem = 0;
    if (pipe2(ends, O_CLOEXEC)) return rf_fail_errno(err, RF_CANNOT, "cannot make a pipe");
    snprintf(h->notes, sizeof h->notes, "/tmp/refork-run-XXXXXX");
    if (!mkdtemp(h->notes)) h->notes[0] = 0;
    // What a test leaves behind when it is killed stays below refork, to be looked at.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        interrupt_restore();
        if (h->notes[0]) setenv("REFORK_RUN", h->notes, 1);
        execvp(h->options->argv[0], h->options->argv);
        problem = errno;
        while (write(ends[1], &problem, sizeof problem) < 0 && errno == EINTR)
            continue;
        _exit(127);
    }
    close(ends[1]);
    said = ends[0];
    if (child < 0) return rf_fail_errno(err, RF_CANNOT, "cannot fork");
    h->command = child;
    ssize_t n;
    do
        n = read(said, &problem, sizeof problem);
    while (n < 0 && errno == EINTR);
    if (n != sizeof problem) return 0;
    waitpid(child, NULL, 0);
    errno = problem;
    return rf_fail_errno(err, problem == ENOENT ? RF_NOT_FOUND : RF_NOT_EXECUTABLE, "cannot run '%s'",
                         h->options->argv[0]);
}

// Ends of the harness, and of processes that were left to refork.
static void reap(struct harness *h) {
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid != h->command) continue;
        h->command = 0;
        h->signaled = WIFSIGNALED(status);
        h->value = h->signaled ? WTERMSIG(status) : WEXITSTATUS(status);
    }
}

// Until the next look, a child's end, or a signal.
static void wait_a_while(const struct harness *h, const sigset_t *child) {
    struct timespec pause = {.tv_sec = (time_t)(h->options->every_ms / 1000),
                             .tv_nsec = (long)(h->options->every_ms % 1000) * 1000000};
    sigtimedwait(child, NULL, &pause);
}

static int look(struct harness *h, struct rf_error *err) {
    if (watch_look(h->watch, err)) return -1;
    end_stuck(h);
    look_for_late(h);
    return 0;
}

static int look_until_the_end(struct harness *h, struct rf_error *err) {
    sigset_t child, before;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &before);
    int failed = 0, told = 0;
    uint64_t next_us = 0;
    for (int last = 0; !failed && last < LAST_LOOKS;) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        uint64_t us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
        if (us >= next_us) {
            failed = look(h, err);
            next_us = us + h->options->every_ms * 1000;
            if (!h->command) last++;
        }
        if (interrupted() && interrupted() != told && h->command) {
            told = interrupted();
            kill(h->command, told);
        }
        if (interrupted() && !h->command) break;
        size_t left;
        free(watch_target_list(&h->watching.target, &left));
        if (!h->command && !left) break;
        wait_a_while(h, &child);
        reap(h);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return failed;
}

// ---- once more, recorded

static int hunt_again(const struct harness *h, const struct hung *x, const char *trace) {
    char runs[32];
    snprintf(runs, sizeof runs, "%" PRIu64, h->options->runs);
    scoped_free char **arguments = vector(&x->arguments), **environment = vector(&x->environment);
    char **words = NULL;
    size_t count = 0;
    const char *const head[] = {"refork", "hunt", "--runs", runs, "-o", trace, "--"};
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        array_push(words, count, (char *)head[i]);
    for (size_t i = 0; arguments[i]; i++)
        array_push(words, count, arguments[i]);
    array_push(words, count, NULL);
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        interrupt_restore();
        if (x->folder[0] && chdir(x->folder)) _exit(RF_CANNOT);
        execve("/proc/self/exe", words, environment);
        _exit(RF_CANNOT);
    }
    free(words);
    int status = -1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : RF_CANNOT;
}

static void tell_command(const struct strings *s) {
    for (size_t at = 0; at < s->len; at += strlen(s->bytes + at) + 1)
        print_clean(stderr, "%s%s", at ? " " : "", s->bytes + at);
}

static bool same(const struct strings *a, const struct strings *b) {
    return a->len == b->len && !memcmp(a->bytes, b->bytes, a->len);
}

// A test that hung twice is hunted once.
static bool was_before(const struct harness *h, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (same(&h->hung[k].arguments, &h->hung[i].arguments) &&
            !strcmp(h->hung[k].folder, h->hung[i].folder))
            return true;
    return false;
}

static unsigned record_hung(const struct harness *h) {
    unsigned recorded = 0;
    char here[PATH_MAX], folder[PATH_MAX];
    if (!getcwd(here, sizeof here)) here[0] = 0;
    if (!realpath(h->options->folder, folder)) snprintf(folder, sizeof folder, "%s", here);
    for (size_t i = 0; i < h->hung_count && h->options->runs && !interrupted(); i++) {
        const struct hung *x = &h->hung[i];
        char trace[PATH_MAX * 2];
        if (was_before(h, i)) continue;
        snprintf(trace, sizeof trace, "%s/%.200s-%d.refork", folder, base_name(x->arguments.bytes), x->pid);
        fputs("refork: this hung, and is hunted: ", stderr);
        tell_command(&x->arguments);
        fputc('\n', stderr);
        int status = hunt_again(h, x, trace);
        if (status == RF_DEADLOCK) {
            recorded++;
            continue;
        }
        print_clean(stderr, "refork: it did not hang again within %" PRIu64 " runs%s%s%s\n", h->options->runs,
                    x->written[0] ? ": what its memory told is in '" : "", x->written,
                    x->written[0] ? ".txt'" : "");
    }
    return recorded;
}

static void release(struct harness *h) {
    for (size_t i = 0; i < h->hung_count; i++) {
        free(h->hung[i].arguments.bytes);
        free(h->hung[i].environment.bytes);
    }
    free(h->hung);
    free(h->stuck);
    if (h->watch) watch_free(h->watch);
}

static void remove_notes(const struct harness *h) {
    char path[400];
    if (!h->notes[0]) return;
    scoped_dir DIR *d = opendir(h->notes);
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", h->notes, e->d_name);
        unlink(path);
    }
    rmdir(h->notes);
}

int harness_run(const struct harness_options *options, struct harness_end *end, struct rf_error *err) {
    struct harness h = {.options = options};
    h.watching = (struct watch_options){.every_ms = options->every_ms,
                                        .all = true,
                                        .fail_on = options->fail_on,
                                        .folder = options->folder,
                                        .out = stderr,
                                        .stuck = on_stuck,
                                        .context = &h};
    int failed = watch_target_pid(getpid(), &h.watching.target, err) || begin(&h, err);
    if (!failed) {
        h.watch = watch_new(&h.watching);
        failed = look_until_the_end(&h, err);
    }
    unsigned recorded = failed ? 0 : record_hung(&h);
    *end = (struct harness_end){h.signaled, h.value, (unsigned)h.hung_count, recorded};
    remove_notes(&h);
    release(&h);
    return failed ? -1 : 0;
}
