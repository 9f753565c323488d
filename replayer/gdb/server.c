#include "replayer/gdb/server.h"

#include "core/array.h"
#include "replayer/gdb/monitor.h"
#include "replayer/gdb/objects.h"
#include "replayer/gdb/signals.h"
#include "replayer/gdb/target.h"
#include "replayer/gdb/thread_local.h"
#include "replayer/session/session.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

// ---- thread ids: pPID.TID in hexadecimal, -1 all, 0 any

struct thread_id {
    int pid, tid;
};

static struct thread_id thread_id(const char *text) {
    int pid = 0, tid = 0;
    if (*text != 'p') return (struct thread_id){0, (int)strtol(text, NULL, 16)};
    char *end;
    pid = (int)strtol(text + 1, &end, 16);
    tid = *end == '.' ? (int)strtol(end + 1, NULL, 16) : -1;
    return (struct thread_id){pid, tid};
}

static bool lives(const struct gdb *g, int tid) {
    const struct replay_task *t = tid > 0 ? replay_task_find(g->replay, tid) : NULL;
    return t && !t->death && replay_space_of(g->replay, tid);
}

static int first_task(const struct gdb *g, int pid) {
    for (size_t i = 0; i < replay_task_count(g->replay); i++) {
        const struct replay_task *t = replay_task_at(g->replay, i);
        if (!t->death && (pid > 0 ? t->pid == pid : stops_follows(g->stops, t->pid)) && lives(g, t->tid))
            return t->tid;
    }
    return 0;
}

static int choose_task(const struct gdb *g, struct thread_id id) {
    if (id.tid > 0) return lives(g, id.tid) ? id.tid : 0;
    if (id.pid <= 0 && lives(g, g->stop.tid)) return g->stop.tid;
    return first_task(g, id.pid);
}

// ---- stop replies

static void add_thread(struct gdb *g, int tid) {
    const struct replay_task *t = replay_task_find(g->replay, tid);
    packet_add(g->packets, "thread:p%x.%x;", (unsigned)(t ? t->pid : 0), (unsigned)tid);
}

// gdb reads program and libraries anew when a program is executed, which is the only way to tell it that a jump has come to others. It goes
// on by itself behind that, and is answered where it is.
static bool other_image(struct gdb *g, const struct stop *s) {
    bool other = s->reason == STOP_START && g->resumed && g->execs && objects_differ(g);
    if (other) g->next = STAYS;
    return other;
}

static void add_exec(struct gdb *g) {
    const char *program = objects_program(g);
    packet_add(g->packets, "exec:");
    packet_add_hex(g->packets, program, strlen(program));
    packet_add(g->packets, ";");
}

// lldb takes a SIGTRAP at the pc where it stepped for no step at all, and asks for the next one for ever. It knows no replaylog.
static void add_edge(struct gdb *g, bool begin) {
    const char *text = begin ? "the recording begins here" : "the recording ends here";
    if (!g->lldb) {
        packet_add(g->packets, "replaylog:%s;", begin ? "begin" : "end");
        return;
    }
    packet_add(g->packets, "reason:exception;description:");
    packet_add_hex(g->packets, text, strlen(text));
    packet_add(g->packets, ";");
}

// gdb (13) goes on from a breakpoint by a step without it, and never ends that step when it hears of the recording's end or of a
// caught call: the next continue hung. So the first step at the end is told as made, and what comes behind it tells of the end. Calls
// are caught by who goes on, not by who steps, as in a live process (PTRACE_SINGLESTEP).
static bool steps_a_call(const struct gdb *g, const struct stop *s) {
    return g->going.go == GO_STEP && !g->lldb &&
           (s->reason == STOP_SYSCALL_ENTRY || s->reason == STOP_SYSCALL_RETURN);
}

static bool steps_over_edge(struct gdb *g, const struct stop *s) {
    if (s->reason != STOP_END || g->lldb) return false;
    g->over_edge = g->going.go == GO_STEP && !g->over_edge;
    return g->over_edge;
}

static void console(void *context, const void *bytes, size_t len) {
    struct gdb *g = context;
    packet_add(g->packets, "O");
    packet_add_hex(g->packets, bytes, len);
    packet_send(g->packets);
}

static void send_stop(struct gdb *g, const struct stop *s) {
    static const char ends[] = "The recording ends here.\n";
    const bool made = steps_over_edge(g, s);
    if (made) console(g, ends, sizeof ends - 1);
    int sig = s->reason == STOP_INTERRUPT ? SIGINT
              : s->reason == STOP_START   ? 0
              : s->reason == STOP_SIGNAL  ? signals_to_gdb((int)s->nr)
                                          : SIGTRAP;
    packet_add(g->packets, "T%02x", (unsigned)sig);
    switch (steps_a_call(g, s) ? STOP_STEP : s->reason) {
    case STOP_BREAKPOINT:
        packet_add(g->packets, "swbreak:;");
        break;
    case STOP_WATCH:
        packet_add(g->packets, "%swatch:%" PRIx64 ";",
                   s->watch == WATCH_READ     ? "r"
                   : s->watch == WATCH_ACCESS ? "a"
                                              : "",
                   s->address);
        break;
    case STOP_BEGIN:
    case STOP_END:
        if (!made) add_edge(g, s->reason == STOP_BEGIN);
        break;
    case STOP_FORK:
    case STOP_VFORK:
        packet_add(g->packets, "%sfork:p%x.%x;", s->reason == STOP_VFORK ? "v" : "", (unsigned)s->child,
                   (unsigned)s->child);
        break;
    case STOP_EXEC:
        add_exec(g);
        break;
    case STOP_START:
        if (other_image(g, s)) add_exec(g);
        break;
    case STOP_SYSCALL_ENTRY:
        packet_add(g->packets, "syscall_entry:%lx;", (unsigned long)s->nr);
        break;
    case STOP_SYSCALL_RETURN:
        packet_add(g->packets, "syscall_return:%lx;", (unsigned long)s->nr);
        break;
    default:
        break;
    }
    add_thread(g, s->tid);
    packet_send(g->packets);
}

// ---- what gdb runs by itself: on the scratch copy

static bool interrupted(void *context) {
    return packet_interrupted(((struct gdb *)context)->packets);
}

static void run_scratch(struct gdb *g, bool step) {
    const struct scratch_client client = {interrupted, console, g};
    int sig;
    enum scratch_end end = scratch_run(g->scratch, step, &client, &sig);
    if (end == SCRATCH_ENDED) {
        packet_add(g->packets, "X%02x;process:%x", SIGKILL, (unsigned)scratch_tid(g->scratch));
        packet_send(g->packets);
        return;
    }
    packet_add(g->packets, "T%02x",
               (unsigned)(end == SCRATCH_SIGNAL        ? signals_to_gdb(sig)
                          : end == SCRATCH_INTERRUPTED ? SIGINT
                                                       : SIGTRAP));
    if (end == SCRATCH_BREAK) packet_add(g->packets, "swbreak:;");
    add_thread(g, scratch_tid(g->scratch));
    packet_send(g->packets);
}

// ---- going on

static int pid_of(const struct gdb *g, int tid) {
    const struct replay_task *t = replay_task_find(g->replay, tid);
    return t ? t->pid : 0;
}

// Answers without moving. Memory of a vforked child is its parent's, in which gdb sets no breakpoints until it hears that this is over;
// but the child does not see them.
static bool stays(struct gdb *g, int tid) {
    int next = g->next;
    g->next = MOVES;
    if (next == MOVES || (next == VFORK_IS_DONE && pid_of(g, tid) != pid_of(g, g->stop.tid))) return false;
    packet_add(g->packets, next == STAYS ? "T00" : "T05vforkdone:;");
    add_thread(g, g->stop.tid);
    packet_send(g->packets);
    return true;
}

// true: the command is for the replay.
static bool resume(struct gdb *g, struct command c, struct command *go) {
    bool forward = goes_forward(c.go);
    if (!target_diverted(g) && stays(g, c.tid)) return false;
    if (target_diverted(g) && forward) {
        run_scratch(g, c.go != GO_ON);
        return false;
    }
    if (target_diverted(g)) {
        packet_answer(g->packets, "E08");
        return false;
    }
    // What gdb wrote is forgotten here.
    scratch_free(g->scratch);
    g->scratch = NULL;
    g->resumed = true;
    *go = g->jump && c.go == GO_BACK ? g->jump_to : c;
    g->jump = false;
    g->going = *go;
    return true;
}

// vCont;ACTION[:THREAD];...: one thread steps, or all go on.
static bool vcont(struct gdb *g, const char *p, struct command *go) {
    struct command c = {.go = GO_ON, .tid = g->stop.tid};
    for (const char *at = strchr(p, ';'); at; at = strchr(at + 1, ';')) {
        const char *colon = strchr(at + 1, ':'), *next = strchr(at + 1, ';');
        struct thread_id id =
            colon && (!next || colon < next) ? thread_id(colon + 1) : (struct thread_id){-1, -1};
        int tid = choose_task(g, id);
        if (tid && id.pid > 0 && c.go == GO_ON) c.tid = tid;
        if (at[1] == 's' || at[1] == 'S') {
            c.go = GO_STEP;
            c.tid = tid;
        } else if (at[1] == 'r' && sscanf(at + 2, "%" SCNx64 ",%" SCNx64, &c.start, &c.end) == 2) {
            c.go = GO_RANGE;
            c.tid = tid;
        }
    }
    return resume(g, c, go);
}

// ---- breakpoints

static void breakpoint(struct gdb *g, const char *p) {
    bool on = p[0] == 'Z';
    g->over_edge = false;
    uint64_t address;
    int kind;
    struct rf_error ignored;
    if (sscanf(p + 2, ",%" SCNx64 ",%x", &address, (unsigned *)&kind) != 2) {
        packet_answer(g->packets, "E01");
        return;
    }
    if (p[1] == '0' || p[1] == '1') {
        bool set = stops_break(g->stops, g->tid, address, on);
        // Also where only the copy can have one: the frame that gdb makes on the stack to come back to.
        if (g->scratch) set |= scratch_break(g->scratch, address, on);
        // Where nothing is yet, a library may come: it is set there then.
        char byte;
        set |= !stops_read(g->stops, g->tid, address, &byte, 1);
        if (!set) stops_break(g->stops, g->tid, address, false);
        packet_answer(g->packets, set ? "OK" : "E09");
    } else if (p[1] >= '2' && p[1] <= '4') { // writes, reads, both
        static const enum watch_kind kinds[] = {WATCH_WRITE, WATCH_READ, WATCH_ACCESS};
        struct watched w = {.address = address, .len = kind, .kind = kinds[p[1] - '2']};
        packet_answer(g->packets, stops_watch(g->stops, g->tid, &w, on, &ignored) == 0 ? "OK" : "E09");
    } else {
        packet_answer(g->packets, "");
    }
}

static void catch_syscalls(struct gdb *g, const char *p) {
    stops_catch_syscall(g->stops, false, 0);
    if (p[0] == '1' && !p[1]) stops_catch_syscall(g->stops, true, -1);
    for (const char *at = p[0] == '1' ? strchr(p, ';') : NULL; at; at = strchr(at + 1, ';'))
        stops_catch_syscall(g->stops, true, strtol(at + 1, NULL, 16));
    packet_answer(g->packets, "OK");
}

// ---- queries

static void supported(struct gdb *g, const char *p) {
    g->forks = strstr(p, ";fork-events+") != NULL;
    g->execs = strstr(p, "exec-events+") != NULL;
    g->vforks = strstr(p, "vfork-events+") != NULL;
    packet_add(
        g->packets,
        "PacketSize=%x;QStartNoAckMode+;multiprocess+;swbreak+;hwbreak+;vContSupported+;ReverseContinue+;"
        "ReverseStep+;QCatchSyscalls+;qXfer:features:read+;qXfer:auxv:read+;qXfer:exec-file:read+;"
        "qXfer:libraries-svr4:read+;qXfer:threads:read+;qXfer:siginfo:read+;QPassSignals+",
        PACKET_MOST);
    if (g->forks) packet_add(g->packets, ";fork-events+");
    if (g->execs) packet_add(g->packets, ";exec-events+");
    if (g->vforks) packet_add(g->packets, ";vfork-events+");
    packet_send(g->packets);
}

static void thread_list(struct gdb *g, bool first) {
    if (!first) {
        packet_answer(g->packets, "l");
        return;
    }
    packet_add(g->packets, "m");
    bool any = false;
    for (size_t i = 0; i < replay_task_count(g->replay); i++) {
        const struct replay_task *t = replay_task_at(g->replay, i);
        if (t->death || !stops_follows(g->stops, t->pid)) continue;
        packet_add(g->packets, "%sp%x.%x", any ? "," : "", (unsigned)t->pid, (unsigned)t->tid);
        any = true;
    }
    packet_send(g->packets);
}

static void tls_address(struct gdb *g, const char *p) {
    uint64_t offset, link_map;
    const char *comma = strchr(p, ',');
    if (comma && sscanf(comma, ",%" SCNx64 ",%" SCNx64, &offset, &link_map) == 2)
        thread_local_answer(g, thread_id(p).tid, offset, link_map);
    else
        packet_answer(g->packets, "E01");
}

static void thread_extra(struct gdb *g, const char *p) {
    const struct replay_task *t = replay_task_find(g->replay, thread_id(p).tid);
    if (t) packet_add_hex(g->packets, t->name, strlen(t->name));
    packet_send(g->packets);
}

static void command_of_monitor(struct gdb *g, const char *p, size_t len) {
    char text[512] = "";
    text[packet_unhex(p, len, text, sizeof text - 1)] = 0;
    monitor_command(g, text);
}

// lldb asks for what gdb reads in the target description (lldb/docs/lldb-gdb-remote.txt). The triple is text in hexadecimal.
static void machine(struct gdb *g, bool process) {
    static const char triple[] = "x86_64-pc-linux-gnu";
    const struct replay_task *t = replay_task_find(g->replay, g->stop.tid);
    const struct replay_task *parent = t ? replay_task_find(g->replay, t->parent_tid) : NULL;
    if (process)
        packet_add(g->packets, "pid:%x;parent-pid:%x;", (unsigned)(t ? t->pid : 0),
                   (unsigned)(parent ? parent->pid : 0));
    packet_add(g->packets, "triple:");
    packet_add_hex(g->packets, triple, sizeof triple - 1);
    packet_add(g->packets, ";ostype:linux;endian:little;ptrsize:8;");
    packet_send(g->packets);
}

static void query(struct gdb *g, const char *p, size_t len) {
    if (!strncmp(p, "qSupported", 10)) {
        supported(g, p);
    } else if (!strncmp(p, "qXfer:", 6)) {
        objects_transfer(g, p);
    } else if (!strncmp(p, "qRcmd,", 6)) {
        command_of_monitor(g, p + 6, len - 6);
    } else if (!strcmp(p, "qfThreadInfo") || !strcmp(p, "qsThreadInfo")) {
        thread_list(g, p[1] == 'f');
    } else if (!strncmp(p, "qThreadExtraInfo,", 17)) {
        thread_extra(g, p + 17);
    } else if (!strncmp(p, "qGetTLSAddr:", 12)) {
        tls_address(g, p + 12);
    } else if (!strcmp(p, "qHostInfo") || !strcmp(p, "qProcessInfo")) {
        g->lldb = true; // gdb does not ask
        machine(g, p[1] == 'P');
    } else if (!strcmp(p, "qC")) {
        const struct replay_task *t = replay_task_find(g->replay, g->stop.tid);
        packet_add(g->packets, "QCp%x.%x", (unsigned)(t ? t->pid : 0), (unsigned)g->stop.tid);
        packet_send(g->packets);
    } else if (!strncmp(p, "qAttached", 9)) {
        packet_answer(g->packets, "1");
    } else if (!strncmp(p, "qSymbol", 7)) {
        packet_answer(g->packets, "OK");
    } else if (!strcmp(p, "QStartNoAckMode")) {
        packet_answer(g->packets, "OK");
        packets_no_ack(g->packets);
    } else if (!strncmp(p, "QCatchSyscalls:", 15)) {
        catch_syscalls(g, p + 15);
    } else if (!strncmp(p, "QPassSignals:", 13)) {
        stops_pass_signals(g->stops, signals_of_list(p + 13));
        packet_answer(g->packets, "OK");
    } else {
        packet_answer(g->packets, "");
    }
}

static void attach(struct gdb *g, int pid) {
    int tid = first_task(g, pid);
    if (!tid) {
        packet_answer(g->packets, "E0a");
        return;
    }
    stops_follow(g->stops, pid, true);
    g->tid = g->stop.tid = tid;
    send_stop(g, &(struct stop){.reason = STOP_START, .tid = tid});
}

static void detach(struct gdb *g, const char *p, struct command *go) {
    int pid = p[1] == ';' ? (int)strtol(p + 2, NULL, 16) : 0;
    if (pid) stops_follow(g->stops, pid, false);
    packet_answer(g->packets, "OK");
    if (!pid) *go = (struct command){.go = GO_QUIT};
}

// Packets with v: long names.
static bool long_packet(struct gdb *g, const char *p, size_t len, struct command *go) {
    if (!strncmp(p, "vCont?", 6)) {
        packet_answer(g->packets, "vCont;c;C;s;S;r");
    } else if (!strncmp(p, "vCont;", 6)) {
        return vcont(g, p, go);
    } else if (!strncmp(p, "vFile:", 6)) {
        objects_file(g, p, len);
    } else if (!strncmp(p, "vAttach;", 8)) {
        attach(g, (int)strtol(p + 8, NULL, 16));
    } else if (!strncmp(p, "vKill;", 6)) {
        stops_follow(g->stops, (int)strtol(p + 6, NULL, 16), false);
        packet_answer(g->packets, "OK");
    } else {
        packet_answer(g->packets, "");
    }
    return false;
}

// One packet. true: on to *go.
static bool handle(struct gdb *g, const char *p, size_t len, struct command *go) {
    switch (p[0]) {
    case 'q':
    case 'Q':
        query(g, p, len);
        return false;
    case 'v':
        return long_packet(g, p, len, go);
    case '?':
        send_stop(g, &g->stop);
        return false;
    case '!':
        packet_answer(g->packets, "OK");
        return false;
    case 'H':
        if (p[1] == 'g') {
            int tid = choose_task(g, thread_id(p + 2));
            if (tid) g->tid = tid;
        }
        packet_answer(g->packets, "OK");
        return false;
    case 'T':
        packet_answer(g->packets, lives(g, thread_id(p + 1).tid) ? "OK" : "E03");
        return false;
    case 'g':
    case 'G':
    case 'p':
    case 'P':
    case 'm':
    case 'M':
    case 'X':
        target_general(g, p, len);
        return false;
    case 'Z':
    case 'z':
        breakpoint(g, p);
        return false;
    case 'c':
        return resume(g, (struct command){.go = GO_ON, .tid = g->tid}, go);
    case 's':
        return resume(g, (struct command){.go = GO_STEP, .tid = g->tid}, go);
    case 'b':
        return resume(g, (struct command){.go = p[1] == 's' ? GO_STEP_BACK : GO_BACK, .tid = g->tid}, go);
    case 'D':
        detach(g, p, go);
        return go->go == GO_QUIT;
    case 'k':
        *go = (struct command){.go = GO_QUIT};
        return true;
    default:
        packet_answer(g->packets, "");
        return false;
    }
}

static struct command stopped(void *context, const struct stop *stop) {
    struct gdb *g = context;
    bool pass = (stop->reason == STOP_FORK && !g->forks) || (stop->reason == STOP_VFORK && !g->vforks) ||
                (stop->reason == STOP_EXEC && !g->execs);
    if (pass && g->resumed) return g->going;
    g->stop = *stop;
    g->next = MOVES;
    if (!lives(g, g->stop.tid)) g->stop.tid = first_task(g, 0);
    if (!lives(g, g->tid) || g->resumed) g->tid = g->stop.tid;
    if (stop->reason == STOP_FORK || stop->reason == STOP_VFORK) stops_follow(g->stops, stop->child, true);
    if (stop->reason == STOP_VFORK) g->next = VFORK_IS_DONE;
    if (g->resumed) send_stop(g, &g->stop);
    g->resumed = false;
    for (;;) {
        struct command go = {.go = GO_ON};
        size_t len;
        const char *p = packet_read(g->packets, &len);
        if (!p) return (struct command){.go = GO_QUIT};
        if (handle(g, p, len, &go)) return go;
    }
}

// The replay cannot go on: gdb is told why, and that this is the end.
static void tell_failure(struct gdb *g, const struct rf_error *err) {
    char line[sizeof err->text + 32];
    int n = snprintf(line, sizeof line, "refork: %s\n", err->text);
    console(g, line, (size_t)n);
    packet_answer(g->packets, "X09");
}

static void woken(int signal) {
    (void)signal;
}

// A Ctrl-C comes while a task runs, and who waits for the task hears nothing of it: this signal, which is blocked elsewhere, ends the wait
// now and then.
static void listen_now_and_then(bool on) {
    enum { EVERY_US = 100000 };
    const struct sigaction wake = {.sa_handler = woken}; // no SA_RESTART
    const struct itimerval timer = {{0, on * EVERY_US}, {0, on * EVERY_US}};
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_BLOCK, &alarm, NULL);
    if (on) sigaction(SIGALRM, &wake, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

int gdb_serve(int fd, struct timeline *t, const char *path, const struct gdb_options *options,
              struct rf_error *err) {
    struct gdb g = {.timeline = t, .replay = timeline_replay(t), .path = path, .tid = options->tid};
    const struct stops_client client = {stopped, interrupted, &g};
    g.packets = packets_new(fd);
    g.stops = stops_new(t, &client);
    g.stop.tid = options->tid;
    stops_follow(g.stops, options->pid, true);
    listen_now_and_then(true);
    int failed = stops_run(g.stops, options->event, err);
    listen_now_and_then(false);
    if (failed && !packets_closed(g.packets)) tell_failure(&g, err);
    if (options->left)
        *options->left = (struct gdb_left){stops_event(g.stops), g.tid > 0 ? g.tid : g.stop.tid};
    scratch_free(g.scratch);
    session_close(g.session);
    stops_free(g.stops);
    packets_free(g.packets);
    free(g.marks);
    objects_free(&g);
    return failed;
}
