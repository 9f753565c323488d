#include "replayer/rr/process.h"

#include "core/guard.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    OUTPUT_MOST = 1 << 30, // bytes of a dump
    LINE = 1024,
    DYING_MS = 200, // what rr says when it fails comes within that
};

void rr_line_add(struct rr_line *l, const char *argument) {
    if (l->count < RR_ARGUMENTS) l->argv[l->count++] = argument;
    l->argv[l->count] = NULL;
}

void rr_line_words(struct rr_line *l, char *text) {
    char *rest = NULL;
    for (char *word = text ? strtok_r(text, " \t\n", &rest) : NULL; word;
         word = strtok_r(NULL, " \t\n", &rest))
        rr_line_add(l, word);
}

// ---- one run

static pid_t start(const struct rr_line *l, const char *traces, int out, int complaints) {
    pid_t pid = fork();
    if (pid) return pid;
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(complaints, 2) < 0) _exit(RF_CANNOT);
    if (traces) setenv("_RR_TRACE_DIR", traces, 1);
    setpgid(0, 0); // a Ctrl-C is refork's
    execvp(l->argv[0], (char *const *)l->argv);
    dprintf(2, "%s: %s\n", l->argv[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

// "[FATAL ./src/a.h:117:f()] text" is "text"; of several lines the first of those that count most.
static int weight(const char *line) {
    return !strncmp(line, "[FATAL", 6) ? 3 : !strncmp(line, "[ERROR", 6) ? 2 : 1;
}

static const char *plain(const char *line) {
    if (*line != '[') return line;
    const char *end = strstr(line, "] ");
    return end ? end + 2 : line;
}

static void weigh(struct rr_output *o, int *heaviest, char *line) {
    size_t len = strlen(line);
    while (len && isspace((unsigned char)line[len - 1]))
        line[--len] = 0;
    if (!*plain(line) || weight(line) <= *heaviest) return;
    *heaviest = weight(line);
    snprintf(o->complaint, sizeof o->complaint, "%s", plain(line));
    for (char *c = o->complaint; *c; c++)
        if (iscntrl((unsigned char)*c)) *c = ' ';
}

static void read_complaint(int fd, struct rr_output *o) {
    char line[LINE];
    int heaviest = 0;
    lseek(fd, 0, SEEK_SET);
    FILE *f = fdopen(fd, "r");
    while (f && fgets(line, sizeof line, f))
        weigh(o, &heaviest, line);
    if (f) fclose(f);
}

static bool read_all(int fd, struct rr_output *o) {
    size_t room = 0;
    for (;;) {
        if (o->size + 1 >= room) {
            room = room ? room * 2 : 65536;
            char *more = room > OUTPUT_MOST ? NULL : realloc(o->text, room);
            if (!more) return false;
            o->text = more;
        }
        ssize_t n = read(fd, o->text + o->size, room - o->size - 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        o->size += (size_t)n;
    }
    o->text[o->size] = 0;
    return true;
}

int rr_run(const struct rr_line *l, const char *traces, struct rr_output *out, struct rf_error *err) {
    *out = (struct rr_output){0};
    int ends[2], complaints = memfd_create("complaints", MFD_CLOEXEC);
    if (complaints < 0 || pipe2(ends, O_CLOEXEC) < 0) {
        rf_fail_errno(err, RF_CANNOT, "cannot start '%s'", l->argv[0]);
        if (complaints >= 0) close(complaints);
        return -1;
    }
    pid_t pid = start(l, traces, ends[1], complaints);
    close(ends[1]);
    bool good = pid > 0 && read_all(ends[0], out);
    close(ends[0]);
    if (pid > 0 && !good) kill(pid, SIGKILL);
    while (pid > 0 && waitpid(pid, &out->status, 0) < 0 && errno == EINTR)
        continue;
    read_complaint(complaints, out);
    if (pid < 0) return rf_fail(err, RF_CANNOT, "cannot start '%s'", l->argv[0]);
    if (!good) return rf_fail(err, RF_CANNOT, "'%s' prints too much", l->argv[0]);
    return 0;
}

void rr_output_release(struct rr_output *o) {
    free(o->text);
    o->text = NULL;
}

// ---- does it work?

// What rr says, and what can be done about it. Of rr 5.6's and 5.9's src/PerfCounters.cc and PerfCounters_x86.h.
static const struct {
    const char *said, *remedy;
} remedies[] = {
    {"perf_event_paranoid", "as root: sysctl kernel.perf_event_paranoid=1"},
    {"unknown",
     "take an rr that knows this CPU, or one that counts in software (--rr COMMAND --rr-options=-W)"},
    {"not supported",
     "take an rr that supports this CPU, or one that counts in software (--rr COMMAND --rr-options=-W)"},
    {"counter", "let the virtual machine have the CPU's counters (vPMU), or take an rr that counts in "
                "software (--rr COMMAND --rr-options=-W)"},
    {"PMU", "let the virtual machine have the CPU's counters (vPMU), or take an rr that counts in software "
            "(--rr COMMAND --rr-options=-W)"},
    {"ptrace", "let the container trace processes (--cap-add=SYS_PTRACE)"},
    {"", "see 'rr record true', and https://github.com/rr-debugger/rr/wiki/Will-rr-work-on-my-system"},
};

static void find_remedy(struct rr_probe *p) {
    size_t i = 0;
    while (!strcasestr(p->reason, remedies[i].said))
        i++;
    snprintf(p->remedy, sizeof p->remedy, "%s", remedies[i].remedy);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at) {
    (void)st, (void)flag, (void)at;
    return remove(path);
}

static void try_record(const char *command, const char *options, struct rr_probe *out) {
    char folder[] = "/tmp/refork-rr-XXXXXX";
    scoped_free char *words = strdup(options);
    struct rf_error err = {0};
    struct rr_output o = {0};
    struct rr_line l = {0};
    rf_assert(words);
    rr_line_add(&l, command);
    rr_line_add(&l, "record");
    rr_line_words(&l, words);
    rr_line_add(&l, "/bin/true");
    if (!mkdtemp(folder)) {
        snprintf(out->reason, sizeof out->reason, "cannot make a folder in /tmp: %s", strerror(errno));
        return;
    }
    if (rr_run(&l, folder, &o, &err) == 0) out->works = WIFEXITED(o.status) && WEXITSTATUS(o.status) == 0;
    if (!out->works)
        snprintf(out->reason, sizeof out->reason, "%.399s",
                 *err.text      ? err.text
                 : *o.complaint ? o.complaint
                                : "'rr record true' fails without a word");
    rr_output_release(&o);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void rr_probe(const char *command, const char *options, struct rr_probe *out) {
    struct rf_error err = {0};
    struct rr_output o = {0};
    struct rr_line l = {0};
    *out = (struct rr_probe){0};
    rr_line_add(&l, command);
    rr_line_add(&l, "--version");
    int failed = rr_run(&l, NULL, &o, &err);
    if (!failed && WIFEXITED(o.status) && WEXITSTATUS(o.status) == 0 && o.size) {
        out->found = true;
        const char *digits = strpbrk(o.text, "0123456789");
        size_t len = digits ? strspn(digits, "0123456789.") : 0;
        snprintf(out->version, sizeof out->version, "%.*s", (int)(len < 32 ? len : 32), digits ? digits : "");
        try_record(command, options, out);
        if (!out->works) find_remedy(out);
    } else {
        snprintf(out->reason, sizeof out->reason, "%.399s",
                 failed         ? err.text
                 : *o.complaint ? o.complaint
                                : "it tells no version");
        snprintf(out->remedy, sizeof out->remedy,
                 "install rr (a package of that name), or name one with --rr COMMAND");
    }
    rr_output_release(&o);
}

// ---- the server

// rr prints a command line for gdb with "extended-remote HOST:PORT" in it, gdbserver "Listening on port N".
static int port_in(const char *text) {
    static const char *const marks[] = {"extended-remote ", "istening on port "};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const char *at = strstr(text, marks[i]);
        if (!at) continue;
        at += strlen(marks[i]);
        size_t len = strcspn(at, " '\"\n\r");
        if (!at[len]) continue; // the rest of it is still to come
        const char *digits = at + len;
        while (digits > at && isdigit((unsigned char)digits[-1]))
            digits--;
        long port = strtol(digits, NULL, 10);
        if (port > 0 && port < 65536) return (int)port;
    }
    return 0;
}

static int read_port(int fd, char *said, size_t size) {
    size_t used = 0;
    int port = 0;
    while (!port) {
        if (used + 1 >= size) { // the program's own output may be long: what counts comes at its end
            memmove(said, said + size / 2, used - size / 2);
            used -= size / 2;
        }
        ssize_t n = read(fd, said + used, size - used - 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        used += (size_t)n;
        said[used] = 0;
        if (memchr(said, 0, used)) // the program may print NULs
            for (size_t i = 0; i < used; i++)
                if (!said[i]) said[i] = ' ';
        port = port_in(said);
    }
    return port;
}

int rr_server_start(const struct rr_line *l, struct rr_server *out, struct rf_error *err) {
    char said[32768] = "";
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return rf_fail_errno(err, RF_CANNOT, "cannot start '%s'", l->argv[0]);
    *out = (struct rr_server){.pid = start(l, NULL, ends[1], ends[1]), .output = ends[0]};
    close(ends[1]);
    if (out->pid > 0) out->port = read_port(ends[0], said, sizeof said);
    if (out->port) {
        // Nobody reads on: what it prints further must not make it wait.
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        return 0;
    }
    struct rr_output o = {0};
    int heaviest = 0;
    char *rest = NULL;
    for (char *line = strtok_r(said, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        weigh(&o, &heaviest, line);
    rr_server_stop(out);
    return rf_fail(err, RF_CANNOT, "'%s' does not replay: %s", l->argv[0],
                   *o.complaint ? o.complaint : "it ended without a word");
}

int rr_server_failed(const struct rr_server *s, struct rf_error *err) {
    char said[32768] = "";
    struct pollfd ready = {s->output, POLLIN, 0};
    size_t used = 0;
    struct rr_output o = {0};
    int heaviest = 1; // only what is an error
    char *rest = NULL;
    while (s->output >= 0 && used + 1 < sizeof said && poll(&ready, 1, DYING_MS) > 0) {
        ssize_t n = read(s->output, said + used, sizeof said - 1 - used);
        if (n <= 0) break;
        used += (size_t)n;
    }
    for (char *line = strtok_r(said, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        weigh(&o, &heaviest, line);
    const struct rf_error before = *err;
    if (*o.complaint) rf_fail(err, RF_CANNOT, "%.200s: rr says: %s", before.text, o.complaint);
    return -1;
}

void rr_server_stop(struct rr_server *s) {
    if (s->pid > 0) {
        kill(-s->pid, SIGTERM);
        kill(s->pid, SIGKILL);
        while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    if (s->output >= 0) close(s->output);
    *s = (struct rr_server){.output = -1};
}
