// gdb over a recording: a private socket, a command file, and the server in this process.
#include "cli/begin.h"
#include "cli/files.h"
#include "cli/options.h"
#include "cli/rr.h"
#include "core/array.h"
#include "core/event.h"
#include "core/trace/trace_read.h"
#include "replayer/gdb/server.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

// ---- sources of the trace, where this machine has none

static int make_folders(char *path) {
    for (char *at = path + 1; *at; at++) {
        if (*at != '/') continue;
        *at = 0;
        int failed = mkdir(path, 0700) < 0 && errno != EEXIST;
        *at = '/';
        if (failed) return -1;
    }
    return 0;
}

static bool copy_out(struct trace_reader *r, uint64_t blob, const char *to) {
    struct rf_error ignored;
    char buffer[65536];
    int from = trace_blob_fd(r, blob, &ignored);
    FILE *out = from >= 0 ? fopen(to, "we") : NULL;
    ssize_t n = 0;
    for (off_t at = 0; out && (n = pread(from, buffer, sizeof buffer, at)) > 0; at += n)
        if (fwrite(buffer, 1, (size_t)n, out) != (size_t)n) break;
    return out && fclose(out) == 0 && n == 0;
}

// Below `folder`, as far as the trace has them; gdb is told to look there.
static void unpack_sources(const char *trace, const char *folder, FILE *script) {
    struct trace_reader *r;
    struct rf_error ignored;
    if (trace_open(trace, &r, &ignored) < 0) return;
    for (uint64_t id = 1; id <= trace_blob_count(r); id++) {
        const char *name;
        uint64_t size;
        char to[8192];
        if (!trace_blob_info(r, id, &name, &size) || strncmp(name, "source:/", 8) != 0 ||
            strstr(name, "/../"))
            continue;
        int n = snprintf(to, sizeof to, "%s/source%s", folder, name + 7);
        if (n < 0 || (size_t)n >= sizeof to || access(name + 7, R_OK) == 0) continue;
        if (make_folders(to) < 0 || !copy_out(r, id, to)) continue;
        char *slash = strrchr(to, '/');
        fprintf(script, "set substitute-path %.*s %.*s\n", (int)(strrchr(name + 7, '/') - (name + 7)),
                name + 7, (int)(slash - to), to);
    }
    trace_close(r);
}

// ---- gdb's side

static const char settings[] =
    "set confirm off\n"
    "set debuginfod enabled off\n"
    "set auto-load libthread-db off\n"
    "set sysroot target:\n"
    "set remotetimeout 600\n"
    "define event\n  monitor event $arg0\n  reverse-continue\nend\n"
    "document event\nGo right behind event N of the recording.\nend\n"
    "define when\n  monitor when\nend\n"
    "document when\nTell which event of the recording this is.\nend\n"
    "define verdict\n  monitor verdict\nend\n"
    "document verdict\nWhat is stuck for ever, and who held the lock.\nend\n"
    "define holders\n  monitor holders\nend\n"
    "document holders\nWho holds which lock here.\nend\n"
    "define checkpoint\n  monitor checkpoint\nend\n"
    "document checkpoint\nRemember this place of the recording; 'restart N' goes back to it.\nend\n"
    "define restart\n  monitor restart $arg0\n  reverse-continue\nend\n"
    "document restart\nGo back to checkpoint N.\nend\n";

static int write_script(const char *path, const char *trace, const char *folder, const char *socket,
                        struct rf_error *err) {
    FILE *out = fopen(path, "we");
    if (!out) return rf_fail_errno(err, RF_CANNOT, "cannot write '%s'", path);
    fputs(settings, out);
    unpack_sources(trace, folder, out);
    fprintf(out, "target extended-remote %s\n", socket);
    return fclose(out) == 0 ? 0 : rf_fail_errno(err, RF_CANNOT, "cannot write '%s'", path);
}

static pid_t start_gdb(const char *command, const char *script, char *const *more, struct rf_error *err) {
    char *argv[64] = {(char *)command, "-q", "-x", (char *)script};
    for (int n = 4; *more && n < 62; n++)
        argv[n] = *more++;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGINT, SIG_DFL);
        execvp(command, argv);
        fprintf(stderr, "refork: cannot run '%s': %s; install gdb, name one with --gdb, or use --listen\n",
                command, strerror(errno));
        _exit(errno == ENOENT ? 127 : 126);
    }
    if (pid < 0) rf_fail_errno(err, RF_CANNOT, "cannot start '%s'", command);
    return pid;
}

// ---- sockets

static int listen_private(const char *path, struct rf_error *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0)
        return fd;
    rf_fail_errno(err, RF_CANNOT, "cannot listen on '%s'", path);
    if (fd >= 0) close(fd);
    return -1;
}

// "PORT" or "HOST:PORT"; without a host only this machine can connect.
static int listen_port(const char *where, struct rf_error *err) {
    char host[256] = "localhost";
    const char *colon = strrchr(where, ':'), *port = colon ? colon + 1 : where;
    if (colon && (size_t)(colon - where) < sizeof host && colon > where)
        snprintf(host, sizeof host, "%.*s", (int)(colon - where), where);
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE},
                    *found;
    int problem = getaddrinfo(host, port, &hints, &found);
    if (problem)
        return rf_fail(err, RF_CANNOT, "cannot listen on '%s': %s (give PORT or HOST:PORT)", where,
                       gai_strerror(problem));
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    bool good = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
                bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, 1) == 0;
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    freeaddrinfo(found);
    if (good && getsockname(fd, (struct sockaddr *)&at, &size) == 0) {
        fprintf(stderr, "refork: in gdb: target extended-remote %s:%d\n", host, ntohs(at.sin_port));
        return fd;
    }
    rf_fail_errno(err, RF_CANNOT, "cannot listen on '%s'", where);
    if (fd >= 0) close(fd);
    return -1;
}

// A connection, or -1 when gdb has ended before.
static int wait_for_gdb(int listening, pid_t gdb) {
    for (;;) {
        struct pollfd p = {listening, POLLIN, 0};
        if (poll(&p, 1, gdb > 0 ? 100 : -1) > 0) return accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        siginfo_t info = {0};
        if (gdb > 0 && waitid(P_PID, (id_t)gdb, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid)
            return -1;
    }
}

struct folder {
    char path[64], socket[96], script[96];
};

static void folder_remove(const struct folder *f) {
    pid_t pid = fork(); // sources may lie several folders deep
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", f->path, (char *)NULL);
        _exit(127);
    }
    if (pid > 0) waitpid(pid, NULL, 0);
}

static int serve(int listening, pid_t gdb, struct timeline *t, const char *path, const struct gdb_options *o,
                 struct rf_error *err) {
    int connection = wait_for_gdb(listening, gdb);
    int failed = connection < 0 ? 0 : gdb_serve(connection, t, path, o, err);
    if (connection >= 0) close(connection);
    return failed;
}

static int with_gdb(const char *command, char *const *more, struct timeline *t, const char *path,
                    const struct gdb_options *o, struct rf_error *err) {
    struct folder f = {.path = "/tmp/refork-gdb-XXXXXX"};
    if (!mkdtemp(f.path)) return rf_fail_errno(err, RF_CANNOT, "cannot make a folder in /tmp");
    snprintf(f.socket, sizeof f.socket, "%s/socket", f.path);
    snprintf(f.script, sizeof f.script, "%s/commands", f.path);
    int listening = listen_private(f.socket, err), status = 0, failed = -1;
    pid_t gdb = -1;
    if (listening >= 0 && write_script(f.script, path, f.path, f.socket, err) == 0) {
        signal(SIGINT, SIG_IGN); // gdb's, which asks for a stop
        gdb = start_gdb(command, f.script, more, err);
    }
    if (gdb > 0) {
        failed = serve(listening, gdb, t, path, o, err);
        waitpid(gdb, &status, 0);
    }
    if (listening >= 0) close(listening);
    folder_remove(&f);
    if (failed) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : RF_CANNOT;
}

// Where gdb was, or why it was not to be had.
static int write_where(const char *path, const struct gdb_left *left, bool failed, struct rf_error *err) {
    FILE *out = fopen(path, "we");
    if (out && failed)
        fprintf(out, "error: %s\n", err->text);
    else if (out && left->event)
        fprintf(out, "%" PRIu64 " %d\n", left->event, left->tid);
    if (out && fclose(out) == 0) return failed ? -1 : 0;
    return failed ? -1 : rf_fail_errno(err, RF_CANNOT, "cannot write '%s'", path);
}

static int debug(const struct cli_args *args, struct gdb_left *left, struct rf_error *err) {
    char path[4096];
    struct begin b = {0};
    uint64_t pid = 0, tid = 0, most = 0;
    struct timeline *t;
    char *none[] = {NULL}, *const *more = args->operand_count > 1 ? args->operands + 1 : none;
    if (args->operand_count && rr_is_trace(args->operands[0]))
        return cli_rr_gdb(args, args->operands[0], err);
    if (cli_number(args, "at", 1, UINT64_MAX, &b.event, err) ||
        cli_number(args, "process", 1, INT32_MAX, &pid, err) ||
        cli_number(args, "task", 1, INT32_MAX, &tid, err) ||
        cli_number(args, "checkpoint-memory", 1, UINT64_MAX >> 20, &most, err) ||
        cli_trace(args, path, sizeof path, err))
        return -1;
    b.pid = (int)pid;
    b.tid = (int)tid;
    if (begin_choose(path, &b, err) || timeline_open(path, &t, err)) return -1;
    timeline_bound_checkpoints(t, most << 20);
    struct gdb_options o = {b.event, b.pid, b.tid, left};
    const char *where = cli_value(args, "listen"), *command = cli_value(args, "gdb");
    int r;
    if (where) {
        int listening = listen_port(where, err);
        r = listening < 0 ? -1 : serve(listening, 0, t, path, &o, err);
        if (listening >= 0) close(listening);
    } else {
        r = with_gdb(command ? command : "gdb", more, t, path, &o, err);
    }
    timeline_close(t);
    return r;
}

static int run_gdb(const struct cli_args *args, struct rf_error *err) {
    const char *where = cli_value(args, "where");
    struct gdb_left left = {0};
    int r = debug(args, &left, err);
    return where && write_where(where, &left, r < 0, err) ? -1 : r;
}

static const struct cli_option gdb_options_table[] = {
    {"at", 0, "EVENT", "begin right behind this event (default: where a task is stuck, else the end)"},
    {"process", 0, "PID", "show this process of the recording (default: the stuck one, else the first)"},
    {"task", 0, "TID", "begin at this task of it (default: the stuck one, else the first)"},
    {"where", 0, "FILE",
     "write where gdb was at last to FILE: event and task, or 'error: ' and why there was none"},
    {"listen", 0, "PORT", "start no gdb: wait for one (or another debugger) to connect"},
    {"gdb", 0, "COMMAND", "the debugger to start (gdb)"},
    CLI_RR,
    {"checkpoint-memory", 0, "MIB",
     "checkpoints take no more memory than this (default: no bound, at most 25 of them)"},
    {0},
};

static const char *const gdb_examples[] = {
    "refork gdb server.refork                         # gdb at the place of the deadlock",
    "refork gdb server.refork -- -ex bt -ex reverse-continue",
    "refork gdb --listen 1234 server.refork           # for an IDE: target remote :1234",
    NULL,
};

const struct cli_command command_gdb = {
    .name = "gdb",
    .operands = "[FILE [GDB-ARGUMENT...]]",
    .summary = "Debug a recording with gdb, forward and backward",
    .details =
        "All of gdb works on the recording: breakpoints, watchpoints, backtrace, print, step, and the\n"
        "same backward: reverse-continue, reverse-step, reverse-next, reverse-finish. What gdb writes or\n"
        "calls happens in a copy that is thrown away when the program goes on. Symbols and libraries\n"
        "come from the trace. In gdb: 'when' tells the event, 'event N' goes to one, 'verdict' and\n"
        "'holders' tell of the locks, 'checkpoint' and 'restart N' remember places, 'monitor help' lists\n"
        "the rest. GDB-ARGUMENTs, such as -ex COMMAND, are gdb's, behind a '--'.\n\n"
        "Exit status: gdb's; 121 the replay diverged, 122 unreadable trace, 125 refork itself failed,\n"
        "127 there is no gdb.\n",
    .examples = gdb_examples,
    .options = gdb_options_table,
    .run = run_gdb,
};
