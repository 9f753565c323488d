// `monitor COMMAND`: what refork knows and gdb does not.
#include "replayer/gdb/monitor.h"

#include "core/array.h"
#include "core/printable.h"
#include "replayer/report/locks.h"
#include "replayer/report/text.h"
#include "replayer/session/session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// Text for gdb's console comes back in hexadecimal; behind it OK, or an error, which ends the gdb command that asked.
static void send_text(struct gdb *g, const char *text, size_t len, bool failed) {
    enum { PIECE = PACKET_MOST / 2 - 64 };
    for (size_t at = 0; at < len; at += PIECE) {
        size_t n = len - at < PIECE
        ? len - at : PIECE;
        packet_add(g->packets, "O");
        packet_add_hex(g->packets, text + at, n);
        packet_send(g->packets);
    }
    packet_answer(g->packets, failed ? "E01" : "OK");
}

static const struct session *open_session(struct gdb *g, FILE *out) {
    struct rf_error err;
    if (!g->session && session_open(g->path, &g->session, &err) < 0) fprintf(out, "%s\n", err.text);
    return g->session;
}

static void when(struct gdb *g, FILE *out) {
    struct event e;
    struct rf_error err;
    uint64_t at = stops_event(g->stops);
    const struct replay_task *t = replay_task_find(g->replay, g->stop.tid);
    fprintf(out, "behind event %" PRIu64 " of %" PRIu64, at, timeline_last(g->timeline));
    if (stops_place(g->stops)->count) fputs(", within a task's run to the next one", out);
    if (at && timeline_event(g->timeline, at, &e, &err) == 0)
        fprintf(out, "; %.3f ms after the start", (double)e.time_us / 1000);
    if (t) fprintf(out, "; thread %d '%s' of process %d", t->tid, t->name, t->pid);
    fputc('\n', out);
}

static void verdict(struct gdb *g, FILE *out) {
    const struct verdict *v;
    struct rf_error err;
    if (!open_session(g, out)) return;
    if (session_verdict(g->session, &v, &err) < 0)
        fprintf(out, "%s\n", err.text);
    else
        report_text(out, v, timeline_source_line, g->timeline);
}

static void held(struct gdb *g, FILE *out) {
    struct lock_history *h;
    struct rf_error err;
    struct lock_report_options o = {.at = stops_event(g->stops)};
    if (!open_session(g, out)) return;
    if (session_locks(g->session, &h, &err) < 0 ||
        lock_report_text(out, session_timeline(g->session), h, &o, &err) < 0)
        fprintf(out, "%s\n", err.text);
}

static void one_lock(struct gdb *g, FILE *out, const char *name) {
    struct lock_history *h;
    struct rf_error err;
    struct lock_report_options o = {.lock = name};
    if (!open_session(g, out)) return;
    if (session_locks(g->session, &h, &err) < 0 ||
        lock_report_text(out, session_timeline(g->session), h, &o, &err) < 0)
        fprintf(out, "%s\n", err.text);
}

static void processes(struct gdb *g, FILE *out) {
    for (size_t i = 0; i < replay_task_count(g->replay); i++) {
        const struct replay_task *t = replay_task_at(g->replay, i);
        if (t->death || t->tid != t->pid) continue;
        fprintf(out, "process %d '%s'%s\n", t->pid, t->name,
                stops_follows(g->stops, t->pid) ? " (shown)" : "");
    }
}

static void mark(struct gdb *g, FILE *out) {
    struct checkpoint_mark *m = array_add(g->marks, g->mark_count);
    m->number = (int)g->mark_count;
    m->place = *stops_place(g->stops);
    fprintf(out, "checkpoint %d: behind event %" PRIu64 "\n", m->number, m->place.event);
}

static void list_marks(struct gdb *g, FILE *out) {
    for (size_t i = 0; i < g->mark_count; i++)
        fprintf(out, "checkpoint %d: behind event %" PRIu64 "\n", g->marks[i].number,
                g->marks[i].place.event);
    if (!g->mark_count) fputs("no checkpoints\n", out);
}

static void go_to_mark(struct gdb *g, int number, FILE *out) {
    for (size_t i = 0; i < g->mark_count; i++) {
        if (g->marks[i].number != number) continue;
        g->jump_to = (struct command){.go = GO_PLACE, .place = g->marks[i].place};
        g->jump = true;
        return;
    }
    fprintf(out, "no checkpoint %d: 'monitor checkpoints' lists them\n", number);
}

static void go_to_event(struct gdb *g, uint64_t number, FILE *out) {
    g->jump = number >= 1 && number <= timeline_last(g->timeline);
    if (!g->jump)
        fprintf(out, "no event %" PRIu64 ": the events are 1 to %" PRIu64 "\n", number,
                timeline_last(g->timeline));
    g->jump_to = (struct command){.go = GO_EVENT, .event = number};
}

static const char help[] =
    "when             which event this is\n"
    "event N          the next reverse-continue goes right behind event N ('event N' does both)\n"
    "verdict          what is stuck, and who held the lock\n"
    "holders          who holds which lock here\n"
    "locks NAME|ADDR  the history of one lock\n"
    "processes        the processes that live here ('attach PID' shows another one)\n"
    "checkpoint       remembers this place\n"
    "checkpoints      lists them\n"
    "restart N        the same for checkpoint N ('restart N' does both)\n";

static void tell_help(const char *word, const char *rest, FILE *out) {
    if (*word && strcmp(word, "help") != 0)
        fprintf(out, "no command '%s%s%s'; there are:\n", word, *rest ? " " : "", rest);
    fputs(help, out);
}

void monitor_command(struct gdb *g, const char *text) {
    char *bytes = NULL, word[32] = "", rest[256] = "";
    size_t len = 0;
    uint64_t number;
    FILE *out = open_memstream(&bytes, &len);
    rf_assert(out);
    sscanf(text, "%31s %255[^\n]", word, rest);
    bool numbered = sscanf(rest, "%" SCNu64, &number) == 1;
    bool moves = !strcmp(word, "event") || !strcmp(word, "restart");
    if (moves) g->jump = false;
    if (g->next == STAYS) g->next = MOVES;
    if (!strcmp(word, "when"))
        when(g, out);
    else if (!strcmp(word, "event") && numbered)
        go_to_event(g, number, out);
    else if (!strcmp(word, "verdict"))
        verdict(g, out);
    else if (!strcmp(word, "holders"))
        held(g, out);
    else if (!strcmp(word, "locks") && *rest)
        one_lock(g, out, rest);
    else if (!strcmp(word, "processes"))
        processes(g, out);
    else if (!strcmp(word, "checkpoint"))
        mark(g, out);
    else if (!strcmp(word, "checkpoints"))
        list_marks(g, out);
    else if (!strcmp(word, "restart") && numbered)
        go_to_mark(g, (int)number, out);
    else
        tell_help(word, rest, out);
    fclose(out);
    // The names in it are the recorded program's, and gdb prints them as they come.
    for (char *line = bytes, *end; line < bytes + len; line = end + 1) {
        end = memchr(line, '\n', (size_t)(bytes + len - line));
        if (!end) end = bytes + len;
        *end = 0;
        printable(line);
        if (end < bytes + len) *end = '\n';
    }
    send_text(g, bytes, len, moves && !g->jump);
    free(bytes);
}
