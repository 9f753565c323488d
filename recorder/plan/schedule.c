// The schedule file: lines of words. Strict: what is not understood is an error that names the line.
#include "recorder/plan/schedule.h"

#include "core/array.h"
#include "core/guard.h"
#include "core/random.h"

#include "core/calls/syscalls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 12, WORD = 600, FILE_MAX = 64 << 20 };

struct line {
    const char *file;
    unsigned number;
    char *word[WORDS];
    size_t count, at; // at: the next word
    char text[WORDS * WORD];
    struct schedule *s;
    struct rf_error *err;
};

static int bad(struct line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int bad(struct line *l, const char *format, ...) {
    char what[700];
    va_list ap;
    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    return rf_fail(l->err, RF_CANNOT, "bad schedule '%s', line %u: %s", l->file, l->number, what);
}

// ---- words

static const char *next(struct line *l) {
    return l->at < l->count ? l->word[l->at++] : NULL;
}

static bool accept(struct line *l, const char *word) {
    if (l->at == l->count || strcmp(l->word[l->at], word) != 0) return false;
    l->at++;
    return true;
}

static bool number_of(const char *text, uint64_t *out) {
    char *end;
    errno = 0;
    if (!text || *text < '0' || *text > '9') return false;
    *out = strtoull(text, &end, 0);
    return !errno && !*end;
}

static int number(struct line *l, const char *what, uint64_t min, uint64_t max, uint64_t *out) {
    const char *text = next(l);
    if (!text) return bad(l, "the number of %s is missing", what);
    if (!number_of(text, out) || *out < min || *out > max)
        return bad(l, "'%s' is no number of %s from %llu to %llu", text, what, (unsigned long long)min,
                   (unsigned long long)max);
    return 0;
}

static int end_of_line(struct line *l) {
    return l->at == l->count ? 0 : bad(l, "unexpected '%s' at the end", l->word[l->at]);
}

bool code_place_parse(const char *text, struct code_place *out) {
    memset(out, 0, sizeof *out);
    // The last '+' begins the offset if a number follows: "libstdc++.so.6!f" has none.
    const char *plus = strrchr(text, '+'), *end = text + strlen(text);
    bool offset = plus && number_of(plus + 1, &out->offset);
    if (offset) end = plus;
    const char *bang = memchr(text, '!', (size_t)(end - text));
    size_t before = bang ? (size_t)(bang - text) : 0, len = (size_t)(end - text);
    // With an offset and without '!', a name with a dot or a slash is a file's: libc.so.6+0x1234.
    if (!bang && offset && (memchr(text, '/', len) || memchr(text, '.', len))) before = len;
    const char *symbol = bang ? bang + 1 : text + before;
    size_t rest = (size_t)(end - symbol);
    if (before >= sizeof out->module || rest >= sizeof out->symbol) return false;
    if ((bang && !before) || (!rest && !offset)) return false;
    memcpy(out->module, text, before);
    memcpy(out->symbol, symbol, rest);
    return before || rest;
}

void code_place_format(const struct code_place *p, char *out, size_t size) {
    char offset[32] = "";
    if (p->offset || !p->symbol[0]) snprintf(offset, sizeof offset, "+0x%llx", (unsigned long long)p->offset);
    bool bang = p->module[0] && (p->symbol[0] || !strpbrk(p->module, "./"));
    snprintf(out, size, "%s%s%s%s", p->module, bang ? "!" : "", p->symbol, offset);
}

static int place(struct line *l, struct code_place *out) {
    const char *text = next(l);
    if (!text) return bad(l, "the place is missing: MODULE+OFFSET, MODULE!SYMBOL+OFFSET or SYMBOL+OFFSET");
    if (!code_place_parse(text, out))
        return bad(l, "'%s' is no place: MODULE+OFFSET, MODULE!SYMBOL+OFFSET or SYMBOL+OFFSET", text);
    return 0;
}

// ---- lines

static int fork_line(struct line *l) {
    struct gate_plan *g = &l->s->gate;
    if (g->fork) return bad(l, "a second 'fork'");
    g->given = true;
    g->fork = 1;
    if (!accept(l, "at")) return number(l, "forks", 1, UINT32_MAX, &g->fork);
    g->at_site = true;
    if (place(l, &g->fork_site) < 0) return -1;
    return accept(l, "hit") ? number(l, "hits", 1, UINT32_MAX, &g->fork) : 0;
}

static const char *const stages[GATE_STAGES] = {
    [GATE_BEFORE_PREPARE] = "before-prepare",
    [GATE_AT_CLONE] = "at-clone",
    [GATE_AFTER_ACQUIRE] = "after-acquire",
    [GATE_AFTER_CALL] = "after-call",
};

const char *gate_stage_name(enum gate_stage stage) {
    return stages[stage];
}

static int call_name(struct line *l, int32_t *nr) {
    enum { CALLS = 512 };
    const char *name = next(l);
    if (!name) return bad(l, "the name of a system call is missing");
    for (*nr = 0; *nr < CALLS; ++*nr)
        if (!strcmp(syscall_name(*nr), name)) return 0;
    return bad(l, "'%s' is no system call", name);
}

static int after_call(struct line *l) {
    struct gate_plan *g = &l->s->gate;
    uint64_t task = 0;
    g->hold_hit = 1;
    if (call_name(l, &g->hold_call) < 0) return -1;
    if (accept(l, "hit") && number(l, "calls", 1, UINT32_MAX, &g->hold_hit) < 0) return -1;
    if (!accept(l, "task")) return bad(l, "'task M' is missing: whose call");
    if (number(l, "a task", 1, UINT32_MAX, &task) < 0) return -1;
    g->hold_task = (uint32_t)task;
    return 0;
}

static int park_line(struct line *l) {
    struct gate_plan *g = &l->s->gate;
    g->given = g->parks_after_call = true;
    return call_name(l, &g->park_call);
}

static int stage_line(struct line *l) {
    struct gate_plan *g = &l->s->gate;
    g->given = true;
    for (int i = 0; i < GATE_STAGES; i++) {
        if (!accept(l, stages[i])) continue;
        g->stage = (enum gate_stage)i;
        return g->stage == GATE_AFTER_CALL ? after_call(l) : 0;
    }
    return bad(l, "a stage is 'before-prepare', 'at-clone', 'after-acquire' or 'after-call'");
}

// The lock word: a place in a module's data, or an address (which is the same in every run without ASLR).
static int word(struct line *l, struct code_place *out) {
    if (l->at < l->count && number_of(l->word[l->at], &out->offset)) {
        l->at++;
        return 0;
    }
    return place(l, out);
}

static int acquire_line(struct line *l) {
    struct gate_plan *g = &l->s->gate;
    if (g->acquire_hit) return bad(l, "a second 'acquire'");
    g->given = true;
    g->acquire_hit = 1;
    if (accept(l, "function"))
        g->function = true;
    else if (!accept(l, "instruction"))
        return bad(l, "an acquire is 'instruction PLACE' or 'function PLACE'");
    if (place(l, &g->acquire) < 0) return -1;
    g->has_word = accept(l, "word");
    if (g->has_word && word(l, &g->word) < 0) return -1;
    if (accept(l, "hit") && number(l, "hits", 1, UINT32_MAX, &g->acquire_hit) < 0) return -1;
    uint64_t task = 0;
    if (accept(l, "task") && number(l, "a task", 1, UINT32_MAX, &task) < 0) return -1;
    g->acquire_task = (uint32_t)task;
    return 0;
}

static int bound_line(struct line *l) {
    struct gate_plan *g = &l->s->gate;
    g->given = true;
    if (accept(l, "events")) return number(l, "events", 1, UINT64_MAX / 2, &g->bound_events);
    if (accept(l, "ms")) return number(l, "milliseconds", 1, 86400000, &g->bound_ms);
    return bad(l, "a bound is 'events N' or 'ms N'");
}

static int from_line(struct line *l) {
    struct gate_plan *g = &l->s->gate;
    g->given = true;
    if (g->from_count == GATE_FROM_MAX) return bad(l, "more than %d 'from' lines", GATE_FROM_MAX);
    return place(l, array_add(g->from, g->from_count));
}

static int one_strategy(struct line *l, enum strategy strategy) {
    bool list = strategy == STRATEGY_SWITCHES || strategy == STRATEGY_SEGMENTS;
    if (l->s->strategy != STRATEGY_NONE && (l->s->strategy != strategy || !list))
        return bad(l, "a second strategy");
    l->s->strategy = strategy;
    return 0;
}

// Named numbers in any order, each once and none left out.
static int numbers(struct line *l, uint64_t **slots, const char *const *names, const uint64_t *max,
                   size_t n) {
    bool given[8] = {false};
    for (size_t done = 0; done < n; done++) {
        size_t i = 0;
        while (i < n && (given[i] || !accept(l, names[i])))
            i++;
        if (i == n) {
            size_t missing = 0;
            while (given[missing])
                missing++;
            return bad(l, "'%s N' is missing", names[missing]);
        }
        given[i] = true;
        if (number(l, names[i], strcmp(names[i], "seed") && strcmp(names[i], "delays") ? 1 : 0, max[i],
                   slots[i]) < 0)
            return -1;
    }
    return 0;
}

static int pct_line(struct line *l) {
    struct schedule *s = l->s;
    uint64_t *slots[] = {&s->threads, &s->steps, &s->depth, &s->seed};
    static const char *const names[] = {"threads", "steps", "depth", "seed"};
    static const uint64_t max[] = {100000, UINT64_MAX / 2, PCT_DEPTH_MAX, UINT64_MAX};
    return one_strategy(l, STRATEGY_PCT) < 0 ? -1 : numbers(l, slots, names, max, 4);
}

static int random_line(struct line *l) {
    uint64_t *slots[] = {&l->s->seed};
    static const char *const names[] = {"seed"};
    static const uint64_t max[] = {UINT64_MAX};
    return one_strategy(l, STRATEGY_RANDOM) < 0 ? -1 : numbers(l, slots, names, max, 1);
}

static int delay_line(struct line *l) {
    struct schedule *s = l->s;
    uint64_t *slots[] = {&s->depth, &s->steps, &s->seed};
    static const char *const names[] = {"delays", "steps", "seed"};
    static const uint64_t max[] = {PCT_DEPTH_MAX - 1, UINT64_MAX / 2, UINT64_MAX};
    return one_strategy(l, STRATEGY_DELAY) < 0 ? -1 : numbers(l, slots, names, max, 3);
}

static int switches_line(struct line *l) {
    return one_strategy(l, STRATEGY_SWITCHES);
}

static int switch_line(struct line *l) {
    struct schedule *s = l->s;
    uint64_t step = 0, task = 0;
    if (one_strategy(l, STRATEGY_SWITCHES) < 0 || number(l, "a step", 1, UINT64_MAX / 2, &step) < 0 ||
        number(l, "a task", 1, UINT32_MAX, &task) < 0)
        return -1;
    if (s->switch_count && s->switches[s->switch_count - 1].step >= step)
        return bad(l, "step %llu comes after step %llu: steps must ascend", (unsigned long long)step,
                   (unsigned long long)s->switches[s->switch_count - 1].step);
    array_push(s->switches, s->switch_count, (struct schedule_switch){step, (uint32_t)task});
    return 0;
}

uint32_t schedule_segment_place(struct schedule *s, const struct segment_place *p) {
    for (size_t i = 0; i < s->segment_place_count; i++)
        if (s->segment_places[i].behind == p->behind &&
            !memcmp(&s->segment_places[i].place, &p->place, sizeof p->place))
            return (uint32_t)i + 1;
    if (s->segment_place_count == SEGMENT_PLACES) return 0;
    array_push(s->segment_places, s->segment_place_count, *p);
    return (uint32_t)s->segment_place_count;
}

static int segments_line(struct line *l) {
    return one_strategy(l, STRATEGY_SEGMENTS);
}

// "at PLACE" or "behind PLACE", or nothing: its number into *at.
static int segment_place(struct line *l, uint32_t *at) {
    struct schedule *s = l->s;
    struct segment_place p;
    memset(&p, 0, sizeof p);
    p.behind = accept(l, "behind");
    if (!p.behind && !accept(l, "at")) return 0;
    if (place(l, &p.place) < 0) return -1;
    *at = schedule_segment_place(s, &p);
    return *at ? 0 : bad(l, "more than %d places of segments", SEGMENT_PLACES);
}

static int segment_line(struct line *l) {
    struct schedule *s = l->s;
    uint64_t task = 0, step = 0;
    uint32_t at = 0;
    if (one_strategy(l, STRATEGY_SEGMENTS) < 0 || number(l, "a task", 1, UINT32_MAX, &task) < 0) return -1;
    if (!accept(l, "until")) return bad(l, "a segment is 'TASK until STEP'");
    if (number(l, "a step", 1, UINT64_MAX / 2, &step) < 0 || segment_place(l, &at) < 0) return -1;
    array_push(s->segments, s->segment_count, (struct schedule_segment){(uint32_t)task, at, step});
    return 0;
}

static int yield_line(struct line *l) {
    struct schedule *s = l->s;
    enum { MAX = sizeof s->yields / sizeof *s->yields };
    if (s->yield_count == MAX) return bad(l, "more than %d 'yield' lines", MAX);
    struct schedule_yield *y = &s->yields[s->yield_count++];
    y->every = 1;
    y->behind = accept(l, "behind");
    if (!y->behind && !accept(l, "at")) return bad(l, "a yield is 'at PLACE' or 'behind PLACE'");
    if (place(l, &y->place) < 0) return -1;
    return accept(l, "every") ? number(l, "arrivals", 1, UINT32_MAX, &y->every) : 0;
}

static const struct {
    const char *word;
    int (*parse)(struct line *);
} lines[] = {
    {"fork", fork_line},         {"stage", stage_line},     {"acquire", acquire_line},
    {"bound", bound_line},       {"pct", pct_line},         {"switches", switches_line},
    {"random", random_line},     {"delay", delay_line},     {"switch", switch_line},
    {"yield", yield_line},       {"from", from_line},       {"park", park_line},
    {"segments", segments_line}, {"segment", segment_line}, {"stints", segments_line},
    {"stint", segment_line}, // the words of older files
};

// ---- files

// Cuts the text of one line, up to `end`, into words; '#' begins a comment.
static int split(struct line *l, const char *text, const char *end) {
    char *to = l->text;
    l->count = l->at = 0;
    for (const char *p = text; p < end && *p != '#';) {
        if (*p == ' ' || *p == '\t' || *p == '\r') {
            p++;
            continue;
        }
        if (l->count == WORDS) return bad(l, "more than %d words", WORDS);
        l->word[l->count++] = to;
        size_t n = 0;
        for (; p < end && *p != ' ' && *p != '\t' && *p != '\r'; n++, p++) {
            if ((unsigned char)*p < ' ' || *p == 127) return bad(l, "a control character (byte %d)", *p);
            if (n == WORD - 1) return bad(l, "a word of more than %d bytes", WORD - 1);
            *to++ = *p;
        }
        *to++ = 0;
    }
    return 0;
}

static int one_line(struct line *l, bool *headed) {
    if (!l->count) return 0;
    if (!*headed) {
        uint64_t version = 0;
        if (!accept(l, "refork") || !accept(l, "schedule") || !number_of(next(l), &version))
            return bad(l, "a schedule begins with the line 'refork schedule 1'");
        if (version != 1) return bad(l, "this is version %s; this refork reads version 1", l->word[2]);
        *headed = true;
        return end_of_line(l);
    }
    const char *word = next(l);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strcmp(word, lines[i].word)) return lines[i].parse(l) < 0 ? -1 : end_of_line(l);
    return bad(l, "unknown word '%s'", word);
}

static int complete(struct line *l, bool headed) {
    const struct gate_plan *g = &l->s->gate;
    if (!headed) return rf_fail(l->err, RF_CANNOT, "bad schedule '%s': it is empty", l->file);
    if (!g->given) return 0;
    if (!g->fork || !g->acquire_hit)
        return rf_fail(l->err, RF_CANNOT,
                       "bad schedule '%s': a gate needs a 'fork' and an 'acquire' line; '%s' is missing",
                       l->file, g->fork ? "acquire" : "fork");
    return 0;
}

int schedule_parse(const char *text, size_t len, const char *name, struct schedule *out,
                   struct rf_error *err) {
    struct line *l = malloc(sizeof *l);
    rf_assert(l);
    *l = (struct line){.file = name, .s = out, .err = err};
    memset(out, 0, sizeof *out);
    bool headed = false;
    int result = 0;
    for (const char *p = text, *end = text + len; p < end && !result;) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        if (!stop) stop = end;
        l->number++;
        result = split(l, p, stop) < 0 ? -1 : one_line(l, &headed);
        p = stop + 1;
    }
    if (!result) result = complete(l, headed);
    free(l);
    if (!out->gate.bound_events) out->gate.bound_events = GATE_BOUND_EVENTS;
    if (!out->gate.bound_ms) out->gate.bound_ms = GATE_BOUND_MS;
    if (result < 0) schedule_release(out);
    return result;
}

int schedule_read(const char *path, struct schedule *out, struct rf_error *err) {
    scoped_file FILE *f = fopen(path, "re");
    if (!f) return rf_fail_errno(err, RF_CANNOT, "cannot read the schedule '%s'", path);
    scoped_free char *text = NULL;
    size_t len = 0, room = 0, got;
    do {
        if (len == room) {
            room = room ? room * 2 : 4096;
            char *more = room > FILE_MAX ? NULL : realloc(text, room);
            if (!more)
                return rf_fail(err, RF_CANNOT, "the schedule '%s' is too large: at most %d MiB", path,
                               FILE_MAX >> 20);
            text = more;
        }
        got = fread(text + len, 1, room - len, f);
        len += got;
    } while (got);
    if (ferror(f)) return rf_fail_errno(err, RF_CANNOT, "cannot read the schedule '%s'", path);
    return schedule_parse(text, len, path, out, err);
}

void schedule_release(struct schedule *s) {
    free(s->switches);
    free(s->segments);
    free(s->segment_places);
    free(s->gate.from);
    memset(s, 0, sizeof *s);
}

#define U(v) (unsigned long long)(v)

static void write_gate(FILE *out, const struct gate_plan *g) {
    char text[600];
    if (g->at_site) {
        code_place_format(&g->fork_site, text, sizeof text);
        fprintf(out, "fork at %s hit %llu\n", text, U(g->fork));
    } else {
        fprintf(out, "fork %llu\n", U(g->fork));
    }
    fprintf(out, "stage %s", gate_stage_name(g->stage));
    if (g->stage == GATE_AFTER_CALL)
        fprintf(out, " %s hit %llu task %u", syscall_name(g->hold_call), U(g->hold_hit), g->hold_task);
    fputc('\n', out);
    if (g->parks_after_call) fprintf(out, "park %s\n", syscall_name(g->park_call));
    code_place_format(&g->acquire, text, sizeof text);
    fprintf(out, "acquire %s %s", g->function ? "function" : "instruction", text);
    code_place_format(&g->word, text, sizeof text);
    bool absolute = !g->word.module[0] && !g->word.symbol[0];
    if (g->has_word) fprintf(out, " word %s", absolute ? text + 1 : text); // not the '+'
    fprintf(out, " hit %llu", U(g->acquire_hit));
    if (g->acquire_task) fprintf(out, " task %u", g->acquire_task);
    fprintf(out, "\nbound events %llu\nbound ms %llu\n", U(g->bound_events), U(g->bound_ms));
    for (size_t i = 0; i < g->from_count; i++) {
        code_place_format(&g->from[i], text, sizeof text);
        fprintf(out, "from %s\n", text);
    }
}

static void write_segment(FILE *out, const struct schedule *s, const struct schedule_segment *segment) {
    char text[600];
    fprintf(out, "segment %u until %llu", segment->task, U(segment->step));
    if (segment->place) {
        const struct segment_place *p = &s->segment_places[segment->place - 1];
        code_place_format(&p->place, text, sizeof text);
        fprintf(out, " %s %s", p->behind ? "behind" : "at", text);
    }
    fputc('\n', out);
}

void schedule_write(FILE *out, const struct schedule *s) {
    fputs("refork schedule 1\n", out);
    if (s->gate.given) write_gate(out, &s->gate);
    for (size_t i = 0; i < s->yield_count; i++) {
        char text[600];
        code_place_format(&s->yields[i].place, text, sizeof text);
        fprintf(out, "yield %s %s every %llu\n", s->yields[i].behind ? "behind" : "at", text,
                U(s->yields[i].every));
    }
    if (s->strategy == STRATEGY_PCT)
        fprintf(out, "pct threads %llu steps %llu depth %llu seed %llu\n", U(s->threads), U(s->steps),
                U(s->depth), U(s->seed));
    if (s->strategy == STRATEGY_RANDOM) fprintf(out, "random seed %llu\n", U(s->seed));
    if (s->strategy == STRATEGY_DELAY)
        fprintf(out, "delay delays %llu steps %llu seed %llu\n", U(s->depth), U(s->steps), U(s->seed));
    if (s->strategy == STRATEGY_SWITCHES) fputs("switches\n", out);
    for (size_t i = 0; i < s->switch_count; i++)
        fprintf(out, "switch %llu %u\n", U(s->switches[i].step), s->switches[i].task);
    if (s->strategy == STRATEGY_SEGMENTS) fputs("segments\n", out);
    for (size_t i = 0; i < s->segment_count; i++)
        write_segment(out, s, &s->segments[i]);
}

// ---- random choices

size_t pct_change_points(uint64_t seed, uint64_t steps, uint64_t depth, uint64_t out[PCT_DEPTH_MAX]) {
    uint64_t state = seed ^ 0x70637400706f696eull; // not the sequence of the priorities
    size_t want = depth ? (size_t)(depth - 1) : 0, n = 0;
    if (want > PCT_DEPTH_MAX - 1) want = PCT_DEPTH_MAX - 1;
    if (want > steps) want = (size_t)steps;
    while (n < want) {
        uint64_t step = 1 + random_next(&state) % steps;
        size_t i = n;
        while (i > 0 && out[i - 1] > step)
            i--;
        if (i > 0 && out[i - 1] == step) continue;
        memmove(out + i + 1, out + i, (n - i) * sizeof *out);
        out[i] = step;
        n++;
    }
    return n;
}

void pct_priorities(uint64_t seed, uint64_t n, uint64_t depth, uint64_t *priority) {
    uint64_t state = seed;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t k = random_next(&state) % (i + 1);
        if (k < i) priority[i] = priority[k];
        priority[k] = depth + i;
    }
}

int schedule_save(const char *path, const struct schedule *s, struct rf_error *err) {
    FILE *out = fopen(path, "we");
    if (out) schedule_write(out, s);
    bool failed = !out || ferror(out);
    if (out && fclose(out)) failed = true;
    return failed ? rf_fail_errno(err, RF_CANNOT, "could not write the schedule '%s'", path) : 0;
}
