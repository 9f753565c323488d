#include "cli/rr.h"

#include "cli/ends.h"
#include "cli/fail_on.h"
#include "cli/files.h"
#include "cli/options.h"
#include "core/config.h"
#include "core/printable.h"
#include "replayer/report/text.h"
#include "replayer/rr/record.h"
#include "replayer/rr/trace.h"
#include "replayer/rr/verdict.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// Which rr, with which options: of the command line, else of the configuration.
struct rr_choice {
    struct config config;
    char engine[16], command[512], options[512];
};

static int choose(const struct cli_args *args, struct rr_choice *c, struct rf_error *err) {
    const char *engine = cli_value(args, "engine"), *command = cli_value(args, "rr"),
               *options = cli_value(args, "rr-options");
    if (config_read(&c->config, err)) return -1;
    if (!engine) engine = *c->config.engine ? c->config.engine : "refork";
    if (!command) command = *c->config.rr ? c->config.rr : "rr";
    if (!options) options = c->config.rr_options;
    if (strcmp(engine, "refork") && strcmp(engine, "rr") && strcmp(engine, "auto"))
        return rf_fail(err, RF_CANNOT, "no engine '%.40s': there are refork, rr and auto", engine);
    if (strlen(command) >= sizeof c->command || strlen(options) >= sizeof c->options)
        return rf_fail(err, RF_CANNOT, "the values of '--rr' and '--rr-options' may have 511 bytes");
    strcpy(c->engine, engine);
    strcpy(c->command, command);
    strcpy(c->options, options);
    return 0;
}

// Options of record that rr has as well, or that are not the engine's.
static const char *foreign_option(const struct cli_args *args) {
    static const char *const common[] = {"engine",  "rr",         "rr-options", "output",    "chaos",
                                         "timeout", "keep-going", "fail-on",    "no-explain"};
    for (size_t i = 0; i < args->count; i++) {
        bool found = false;
        for (size_t k = 0; k < sizeof common / sizeof *common; k++)
            found |= !strcmp(args->given[i].option->name, common[k]);
        if (!found) return args->given[i].option->name;
    }
    return NULL;
}

// A folder that is not there yet: PROGRAM.rr, PROGRAM-2.rr and so on.
static int new_folder(const char *program, char *path, size_t size, struct rf_error *err) {
    const char *slash = strrchr(program, '/'), *name = slash ? slash + 1 : program;
    for (int i = 1; i < 10000; i++) {
        char number[16] = "";
        struct stat st;
        if (i > 1) snprintf(number, sizeof number, "-%d", i);
        int n = snprintf(path, size, "%.200s%s.rr", name, number);
        if (n > 0 && (size_t)n < size && lstat(path, &st)) return 0;
    }
    return rf_fail(err, RF_CANNOT, "too many traces of '%s' here: remove some or name a folder with -o",
                   name);
}

static int record(const struct cli_args *args, const struct rr_choice *c, struct rr_recording *out,
                  char *path, size_t size, struct rf_error *err) {
    char options[sizeof c->options];
    const char *output = cli_value(args, "output");
    uint64_t timeout = 0;
    struct stat st;
    if (cli_duration(args, "timeout", &timeout, err)) return -1;
    if (output && lstat(output, &st) == 0)
        return rf_fail(err, RF_CANNOT,
                       "'%s' is there already: rr makes a folder of its own, give another name", output);
    if (output)
        snprintf(path, size, "%s", output);
    else if (new_folder(args->operands[0], path, size, err))
        return -1;
    struct rr_line l = {0};
    snprintf(options, sizeof options, "%s", c->options);
    rr_line_add(&l, c->command);
    rr_line_add(&l, "record");
    rr_line_words(&l, options);
    if (cli_has(args, "chaos")) rr_line_add(&l, "--chaos");
    rr_line_add(&l, "-o");
    rr_line_add(&l, path);
    rr_line_add(&l, "--");
    if (l.count + (size_t)args->operand_count > RR_ARGUMENTS)
        return rf_fail(err, RF_CANNOT, "more than %d arguments: record with refork's own engine",
                       RR_ARGUMENTS);
    for (int i = 0; i < args->operand_count; i++)
        rr_line_add(&l, args->operands[i]);
    return rr_record(&l, timeout, cli_has(args, "keep-going"), out, err);
}

// Of the options to record those that replay takes as well.
static const char *replay_options(const char *options) {
    return strstr(options, "-W") ? "-W" : "";
}

// On stderr; an exit status, or -1.
static int tell_verdict(const char *path, const struct rr_choice *c, bool print, enum verdict_level fail_on,
                        struct rf_error *err) {
    struct rr_trace t;
    struct diagnosis *d = NULL;
    int r = rr_trace_open(path, c->command, replay_options(c->options), &t, err);
    if (r == 0) r = rr_verdict(&t, &d, err);
    if (r == 0 && print) report_text(stderr, diagnosis_verdict(d), diagnosis_source_line, d);
    if (r == 0) r = cli_verdict_status(diagnosis_verdict(d), fail_on);
    diagnosis_free(d);
    rr_trace_release(&t);
    return r;
}

int cli_rr_record(const struct cli_args *args, struct rf_error *err) {
    struct rr_choice c;
    struct rr_probe probe;
    struct rr_recording done;
    enum verdict_level fail_on;
    char path[4096];
    if (choose(args, &c, err) || cli_fail_on(args, &fail_on, err)) return -1;
    if (!strcmp(c.engine, "refork") || !args->operand_count) return CLI_OWN_ENGINE;
    const char *foreign = foreign_option(args);
    if (foreign && !strcmp(c.engine, "auto")) return CLI_OWN_ENGINE;
    if (foreign)
        return rf_fail(err, RF_CANNOT, "'--%s' is of refork's own engine: leave it or '--engine rr' out",
                       foreign);
    rr_probe(c.command, c.options, &probe);
    if (!probe.works) {
        print_clean(stderr,
                    "refork: '%s' does not record here: %s; %s; refork's own engine records instead\n",
                    c.command, probe.reason, probe.remedy);
        return CLI_OWN_ENGINE;
    }
    if (record(args, &c, &done, path, sizeof path, err)) return -1;
    if (rr_is_trace(path))
        rr_trace_note(path, c.command, replay_options(c.options));
    else if (WIFEXITED(done.status) && WEXITSTATUS(done.status) == 0)
        return rf_fail(err, RF_CANNOT, "'%s' ended well and left no trace in '%s': is it rr?", c.command,
                       path);
    if (done.stuck_pid)
        print_clean(stderr, "refork: process %d waits for ever; the trace of rr is in '%s'\n", done.stuck_pid,
                    path);
    else if (isatty(STDERR_FILENO))
        print_clean(stderr, "refork: saved '%s', a trace of rr\n", path);
    bool asked = cli_has(args, "fail-on"), silent = cli_has(args, "no-explain"),
         ended = done.stuck_pid || done.timed_out;
    int status = done.stuck_pid && silent && !asked ? RF_DEADLOCK : RF_OK;
    if (asked || (ended && !silent)) status = tell_verdict(path, &c, !silent, fail_on, err);
    if (status < 0) {
        print_clean(stderr, "refork: the verdict is not complete: %s\n", err->text);
        err->status = 0;
        status = done.stuck_pid ? RF_DEADLOCK : RF_OK;
    }
    if (status == RF_OK && !done.stuck_pid)
        cli_end_like(WIFSIGNALED(done.status),
                     WIFSIGNALED(done.status) ? WTERMSIG(done.status) : WEXITSTATUS(done.status));
    return status;
}

int cli_rr_open(const struct cli_args *args, const char *path, struct rr_trace *out, struct rf_error *err) {
    struct config c;
    const char *command = cli_value(args, "rr"), *options = cli_value(args, "rr-options");
    *out = (struct rr_trace){0};
    if (config_read(&c, err)) return -1;
    if (!command) command = *c.rr ? c.rr : "rr";
    return rr_trace_open(path, command, options, out, err);
}

// Becomes rr.
static int run_instead(const struct rr_line *l, struct rf_error *err) {
    fflush(NULL);
    execvp(l->argv[0], (char *const *)l->argv);
    return rf_fail_errno(err, errno == ENOENT ? RF_NOT_FOUND : RF_CANNOT, "cannot run '%s'", l->argv[0]);
}

enum { LINE_MOST = 512 };

// The last line of what comes, which also goes on to stderr.
static void pass_on(int from, char last[LINE_MOST], size_t *used) {
    char part[1024];
    ssize_t n;
    while ((n = read(from, part, sizeof part)) > 0) {
        fwrite(part, 1, (size_t)n, stderr);
        for (ssize_t i = 0; i < n; i++) {
            if (*used && last[*used - 1] == '\n' && part[i] != '\n') *used = 0;
            if (*used < LINE_MOST - 1 && (part[i] != '\n' || *used)) last[(*used)++] = part[i];
        }
    }
    last[*used] = 0;
}

// Runs rr; where it fails, its last line is the reason. What it leaves running may keep stderr: its own end counts.
static int run_beside(const struct rr_line *l, struct rf_error *err) {
    int messages[2], status = 0;
    char last[LINE_MOST] = "";
    size_t used = 0;
    if (pipe2(messages, O_CLOEXEC)) return rf_fail_errno(err, RF_CANNOT, "no pipe for '%s'", l->argv[0]);
    fflush(NULL);
    signal(SIGINT, SIG_IGN); // gdb's
    pid_t pid = fork();
    if (!pid) {
        signal(SIGINT, SIG_DFL);
        dup2(messages[1], STDERR_FILENO);
        execvp(l->argv[0], (char *const *)l->argv);
        dprintf(STDERR_FILENO, "cannot run '%s': %s\n", l->argv[0], strerror(errno));
        _exit(errno == ENOENT ? RF_NOT_FOUND : RF_CANNOT);
    }
    close(messages[1]);
    fcntl(messages[0], F_SETFL, O_NONBLOCK);
    for (pid_t ended = pid < 0 ? pid : 0; !ended;) {
        poll(&(struct pollfd){messages[0], POLLIN, 0}, 1, 100);
        ended = waitpid(pid, &status, WNOHANG);
        pass_on(messages[0], last, &used);
    }
    close(messages[0]);
    if (pid < 0) return rf_fail_errno(err, RF_CANNOT, "cannot start '%s'", l->argv[0]);
    if (WIFEXITED(status) && !WEXITSTATUS(status)) return 0;
    last[strcspn(last, "\n")] = 0;
    return rf_fail(err, RF_CANNOT, "'%s' failed: %s", l->argv[0], *last ? last : "it does not say why");
}

static void replay_line(struct rr_line *l, struct rr_trace *t) {
    rr_line_add(l, t->command);
    rr_line_add(l, "replay");
    rr_line_words(l, t->options);
}

int cli_rr_batch(const struct cli_args *args, const char *path, struct rf_error *err) {
    struct rr_trace t;
    struct rr_line l = {0};
    int failed = cli_rr_open(args, path, &t, err);
    if (!failed) {
        replay_line(&l, &t);
        rr_line_add(&l, "-a");
        rr_line_add(&l, t.path);
        failed = run_instead(&l, err);
    }
    rr_trace_release(&t);
    return failed;
}

// The process that the verdict is about first; 0: there is none.
static int stuck_process(const struct rr_trace *t, struct rf_error *err) {
    struct diagnosis *d;
    if (rr_verdict(t, &d, err)) return -1;
    const struct verdict *v = diagnosis_verdict(d);
    int pid = v->count ? v->findings[0].waiter.pid : 0;
    if (pid)
        print_clean(stderr, "refork: %s: process %d waits for %s; 'refork explain' tells who held it\n",
                    confidence_name(v->findings[0].confidence), pid,
                    *v->findings[0].lock.symbol ? v->findings[0].lock.symbol : "a lock");
    diagnosis_free(d);
    return pid;
}

static int debug(const struct cli_args *args, struct rr_trace *t, struct rf_error *err) {
    uint64_t event = 0, pid = 0, tid = 0;
    char pid_text[24], event_text[24];
    const char *port = cli_value(args, "listen"), *gdb = cli_value(args, "gdb");
    if (cli_number(args, "at", 1, UINT64_MAX, &event, err) ||
        cli_number(args, "process", 1, INT32_MAX, &pid, err) ||
        cli_number(args, "task", 1, INT32_MAX, &tid, err))
        return -1;
    // Where rr's gdb is at last, rr does not tell: only why it failed is written to --where.
    if (cli_has(args, "checkpoint-memory"))
        return rf_fail(
            err, RF_CANNOT,
            "rr bounds its checkpoints by itself: of a trace of rr, leave out '--checkpoint-memory'");
    const struct rr_task *task = tid ? rr_trace_task(t, (int)tid, event) : NULL;
    if (tid && !task)
        return rf_fail(err, RF_CANNOT, "no task %" PRIu64 " in '%s': 'rr ps' lists them", tid, t->path);
    if (task && pid && (uint64_t)task->pid != pid)
        return rf_fail(err, RF_CANNOT, "task %" PRIu64 " is one of process %d, not of %" PRIu64, tid,
                       task->pid, pid);
    if (task) pid = (uint64_t)task->pid;
    if (!pid) {
        int stuck = stuck_process(t, err);
        if (stuck < 0) return -1;
        pid = stuck ? (uint64_t)stuck : (uint64_t)t->tasks[0].pid;
    }
    const struct rr_task *first = rr_trace_task(t, (int)pid, 0);
    if (!first || first->pid != first->tid)
        return rf_fail(err, RF_CANNOT, "no process %" PRIu64 " in '%s': 'rr ps' lists them", pid, t->path);
    struct rr_line l = {0};
    replay_line(&l, t);
    snprintf(pid_text, sizeof pid_text, "%" PRIu64, pid);
    snprintf(event_text, sizeof event_text, "%" PRIu64, event);
    rr_line_add(&l, first->parent && first->forked ? "-f" : "-p");
    rr_line_add(&l, pid_text);
    rr_line_add(&l, event ? "-g" : "-e");
    if (event) rr_line_add(&l, event_text);
    if (gdb) rr_line_add(&l, "-d"), rr_line_add(&l, gdb);
    if (port) rr_line_add(&l, "-s"), rr_line_add(&l, port);
    rr_line_add(&l, t->path);
    if (args->operand_count > 1) rr_line_add(&l, "--");
    for (int i = 1; i < args->operand_count; i++)
        rr_line_add(&l, args->operands[i]);
    return cli_has(args, "where") ? run_beside(&l, err) : run_instead(&l, err);
}

int cli_rr_gdb(const struct cli_args *args, const char *path, struct rf_error *err) {
    struct rr_trace t;
    int failed = cli_rr_open(args, path, &t, err);
    if (!failed) failed = debug(args, &t, err);
    rr_trace_release(&t);
    return failed;
}
