// One hunt on many machines. Its runs are a list that follows from the first run: the candidates, then the seeds. Shard I of N
// makes the I-th of them, and each N-th one after it; what becomes of a run is a file of its own. The first run is that of
// the shard that came first, and the others wait for it.
#include "search/shard.h"

#include "search/hunt_json.h"
#include "search/hunt_state.h"
#include "core/array.h"
#include "core/clock.h"
#include "core/version.h"
#include "search/interrupt.h"
#include "replayer/report/json.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#define PLAN     "plan.json"
#define DEADLOCK "deadlock.json"

enum {
    FORMAT = 1,
    CLAIMS = 1000,    // shards that died in their first run
    PATIENCE_S = 120, // for reading the first run's locks, beyond three times --timeout
    POLL_MIN_MS = 20, // while somebody else makes the first run
    POLL_MAX_MS = 1000,
};

struct sharing {
    struct hunter *x;
    struct hunt_state state;
    uint64_t shard, shards;
    json_t *plan;
    char **argv;       // of the plan
    uint64_t length;   // of the list, the first run included
    uint64_t directed; // entries from 1 on that are candidates
    struct hunt_shared shown;
};

// ---- the program

static int open_program(const char *name) {
    const char *path = getenv("PATH");
    if (strchr(name, '/') || !path) return open(name, O_RDONLY | O_CLOEXEC);
    for (const char *p = path;; p++) {
        size_t len = strcspn(p, ":");
        char full[4400];
        int n = snprintf(full, sizeof full, "%.*s%s%s", (int)len, p, len ? "/" : "", name);
        if (n < (int)sizeof full && access(full, X_OK) == 0) return open(full, O_RDONLY | O_CLOEXEC);
        p += len;
        if (!*p) return -1;
    }
}

// Of the file's bytes: machines may have other paths to the same build, not other builds.
static json_t *program_hash(const char *name) {
    char buffer[65536];
    ssize_t n = 0;
    int fd = open_program(name);
    XXH3_state_t *state = XXH3_createState();
    rf_assert(state);
    XXH3_64bits_reset(state);
    while (fd >= 0 && (n = read(fd, buffer, sizeof buffer)) > 0)
        XXH3_64bits_update(state, buffer, (size_t)n);
    if (fd >= 0) close(fd);
    json_t *value = fd < 0 || n < 0 ? json_null() : json_sprintf("%016" PRIx64, XXH3_64bits_digest(state));
    XXH3_freeState(state);
    return value;
}

static json_t *program_words(char *const *argv) {
    json_t *list = json_array();
    for (; *argv; argv++)
        json_array_append_new(list, **argv ? report_json_text(*argv) : json_string(""));
    return list;
}

// ---- the list

static json_t *number_text(uint64_t n) {
    return n == UINT64_MAX ? json_string("unlimited") : json_sprintf("%" PRIu64, n);
}

static uint64_t read_number(const json_t *o, const char *name) {
    const char *text = json_string_value(json_object_get(o, name));
    return text && strcmp(text, "unlimited") != 0 ? strtoull(text, NULL, 10) : UINT64_MAX;
}

static void measure_list(struct sharing *s, bool only_first) {
    const struct hunter *x = s->x;
    bool directed = x->search <= SEARCH_DIRECTED;
    s->directed = directed ? x->h.candidates.count : 0;
    s->length = hunt_has_wide(x) ? x->runs_max : 1 + s->directed;
    if (s->length > x->runs_max) s->length = x->runs_max;
    if (only_first) s->length = 1;
}

// The schedule of entry k > 0 names its result: "run-000007-HASH.json". The text is the caller's.
static char *entry_name(const struct sharing *s, uint64_t k, char *name, size_t size) {
    struct schedule plan;
    if (k <= s->directed)
        hunt_candidate_plan(s->x, (size_t)k - 1, &plan);
    else
        hunt_wide_plan(s->x, k - 1 - s->directed, &plan);
    char *text = hunt_schedule_text(&plan);
    snprintf(name, size, "run-%06" PRIu64 "-%016" PRIx64 ".json", k + 1, XXH3_64bits(text, strlen(text)));
    return text;
}

// ---- results

static void name_recording(struct sharing *s, uint64_t k, char *out, size_t size) {
    char name[100];
    snprintf(name, sizeof name, "found-%06" PRIu64 "-%08x.refork", k + 1,
             XXH32(s->state.process, strlen(s->state.process), 0));
    state_path(&s->state, name, out, size);
    s->x->keep_as = out;
}

static bool found_elsewhere(void *context) {
    const struct sharing *s = context;
    return !s->x->keep_going && state_has(&s->state, DEADLOCK);
}

static void drop_recordings(struct sharing *s, size_t from) {
    for (size_t i = from; i < s->x->h.found_count; i++) {
        unlink(s->x->h.found[i].trace);
        unlink(s->x->h.found[i].schedule);
    }
}

// The others stop when they see this file.
static int say_deadlock(struct sharing *s, const char *result, struct rf_error *err) {
    json_t *value = json_pack("{s:s}", "result", result);
    int published = state_publish(&s->state, DEADLOCK, value, err);
    json_decref(value);
    return published < 0 ? -1 : 0;
}

// ---- the first run

static json_t *make_plan(struct sharing *s, const struct hunt *before) {
    const struct hunter *x = s->x;
    json_t *options =
        json_pack("{s:o, s:o, s:s, s:b}", "runs", number_text(x->runs_max), "seed", number_text(x->seed),
                  "strategy", hunt_strategy_name(x->search), "keep-going", x->keep_going);
    return json_pack("{s:i, s:s, s:o, s:o, s:o, s:b, s:o, s:o}", "refork_hunt", FORMAT, "version",
                     REFORK_VERSION, "program", program_words(x->h.argv), "executable",
                     program_hash(x->h.argv[0]), "options", options, "only_first",
                     x->h.found_count && !x->keep_going, "first", hunt_json_result(x, before, SIZE_MAX),
                     "shown", hunt_json_plan(x));
}

// 1 the plan is there, 0 not (interrupted), -1.
static int make_first_run(struct sharing *s, struct rf_error *err) {
    struct hunter *x = s->x;
    const struct hunt before = x->h;
    char recording[4300];
    uint64_t begin = clock_us(CLOCK_MONOTONIC);
    name_recording(s, 0, recording, sizeof recording);
    int found = hunt_first_run(x, err);
    if (found < 0) return -1;
    if (!x->h.runs || interrupted()) return 0;
    x->h.spent_us += clock_us(CLOCK_MONOTONIC) - begin;
    json_t *plan = make_plan(s, &before);
    int published = state_publish(&s->state, PLAN, plan, err);
    json_decref(plan);
    if (published == 0) drop_recordings(s, 0); // somebody has lost patience with this process
    if (published == 1 && found && !x->keep_going && say_deadlock(s, PLAN, err) < 0) return -1;
    return published < 0 ? -1 : 1;
}

static void wait_ms(unsigned ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

// Until the plan is there, or whoever claimed to make it cannot be expected to: false then.
static bool wait_for_plan(struct sharing *s, const char *claim, const char *over) {
    json_t *value = NULL;
    if (state_read(&s->state, claim, &value, NULL) <= 0) return state_has(&s->state, PLAN);
    const char *process = json_string_value(json_object_get(value, "process"));
    // A process of another machine may have died unseen. Of one of this machine that is known, so it has all the time that it
    // takes: on a busy machine nobody is to make the first run once more. Both would come to the same plan.
    bool unseen = process && !state_process_known(&s->state, process);
    uint64_t until = clock_us(CLOCK_MONOTONIC) + s->x->timeout_ms * 3000 + PATIENCE_S * 1000000ull;
    bool there = false, gone = !process;
    for (unsigned ms = POLL_MIN_MS; !there && !gone && !interrupted(); ms += ms / 4) {
        wait_ms(ms < POLL_MAX_MS ? ms : POLL_MAX_MS);
        gone = state_has(&s->state, over) || state_process_ended(&s->state, process) ||
               (unseen && clock_us(CLOCK_MONOTONIC) >= until);
        there = state_has(&s->state, PLAN);
    }
    json_decref(value);
    return there;
}

// 1 the plan is there, 0 interrupted, -1.
static int get_plan(struct sharing *s, struct rf_error *err) {
    json_t *mine = json_pack("{s:s}", "process", s->state.process);
    int result = 0;
    for (int k = 1; k <= CLAIMS && !result && !interrupted(); k++) {
        char claim[40], over[40];
        snprintf(claim, sizeof claim, "claim-%04d.json", k);
        snprintf(over, sizeof over, "claim-%04d-over.json", k);
        if (state_has(&s->state, PLAN)) {
            result = 1;
            break;
        }
        int claimed = state_publish(&s->state, claim, mine, err);
        if (claimed < 0)
            result = -1;
        else if (!claimed)
            result = wait_for_plan(s, claim, over);
        else
            result = make_first_run(s, err);
        if (claimed == 1 && result <= 0) state_publish(&s->state, over, mine, NULL);
    }
    json_decref(mine);
    if (!result && !interrupted())
        return rf_fail(err, RF_CANNOT, "the first run of the hunt in '%s' was begun %d times and never ended",
                       s->state.folder, CLAIMS);
    return result;
}

// ---- the plan

// Is the option, when it was given here, as the plan has it?
static bool one_option(const struct sharing *s, const json_t *options, const char *name, bool given,
                       json_t *mine, struct rf_error *err) {
    const json_t *theirs = json_object_get(options, name);
    bool same = !given || json_equal(theirs, mine);
    if (!same && json_is_boolean(mine))
        rf_fail(err, RF_CANNOT, "the hunt in '%s' was begun without --%s", s->state.folder, name);
    else if (!same)
        rf_fail(err, RF_CANNOT, "the hunt in '%s' has --%s %s, not %s: it stays as its first shard began it",
                s->state.folder, name, json_string_value(theirs), json_string_value(mine));
    json_decref(mine);
    return same;
}

static bool same_options(struct sharing *s, const json_t *options, struct rf_error *err) {
    const struct hunter *x = s->x;
    return one_option(s, options, "runs", x->given.runs, number_text(x->runs_max), err) &&
           one_option(s, options, "seed", x->given.seed, number_text(x->seed), err) &&
           one_option(s, options, "strategy", x->given.search, json_string(hunt_strategy_name(x->search)),
                      err) &&
           one_option(s, options, "keep-going", x->keep_going, json_boolean(x->keep_going), err);
}

static void join_words(const json_t *words, char *out, size_t size) {
    size_t used = 0;
    *out = 0;
    for (size_t i = 0; i < json_array_size(words) && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? " " : "",
                                 json_string_value(json_array_get(words, i)));
}

static int same_program(struct sharing *s, struct rf_error *err) {
    if (!s->x->h.argv) return 0; // only asked about
    json_t *words = program_words(s->x->h.argv), *hash = program_hash(s->x->h.argv[0]);
    const json_t *theirs = json_object_get(s->plan, "program");
    int result = 0;
    char a[200], b[200];
    join_words(theirs, a, sizeof a);
    join_words(words, b, sizeof b);
    if (!json_equal(theirs, words))
        result =
            rf_fail(err, RF_CANNOT, "in '%s' is the hunt of '%s', not of '%s': give it a folder of its own",
                    s->state.folder, a, b);
    else if (!json_equal(json_object_get(s->plan, "executable"), hash))
        result = rf_fail(err, RF_CANNOT,
                         "in '%s' is the hunt of another build of '%s': give this one a folder of its own",
                         s->state.folder, json_string_value(json_array_get(theirs, 0)));
    json_decref(words);
    json_decref(hash);
    return result;
}

static bool take_options(struct hunter *x, const json_t *options) {
    const char *strategy = json_string_value(json_object_get(options, "strategy"));
    bool known = strategy && hunt_strategy_find(strategy, &x->search);
    x->runs_max = read_number(options, "runs");
    x->seed = read_number(options, "seed");
    x->keep_going = json_is_true(json_object_get(options, "keep-going"));
    return known && x->runs_max;
}

static int take_words(struct sharing *s) {
    const json_t *words = json_object_get(s->plan, "program");
    size_t n = json_array_size(words);
    s->argv = calloc(n + 1, sizeof *s->argv);
    rf_assert(s->argv);
    for (size_t i = 0; i < n; i++) {
        s->argv[i] = (char *)json_string_value(json_array_get(words, i));
        if (!s->argv[i]) return -1;
    }
    if (!s->x->h.argv) s->x->h.argv = s->argv;
    return n ? 0 : -1;
}

static int read_plan(struct sharing *s, struct rf_error *err) {
    const char *folder = s->state.folder;
    int there = state_read(&s->state, PLAN, &s->plan, err);
    if (there < 0) return -1;
    if (!there) return rf_fail(err, RF_CANNOT, "there is no hunt in '%s': its first run is not done", folder);
    json_int_t format = json_integer_value(json_object_get(s->plan, "refork_hunt"));
    const char *version = json_string_value(json_object_get(s->plan, "version"));
    if (format != FORMAT || !version || strcmp(version, REFORK_VERSION) != 0)
        return rf_fail(err, RF_CANNOT, "'%s/" PLAN "' is of another version of refork (%s)", folder,
                       version ? version : "none");
    if (s->x->h.argv &&
        (same_program(s, err) < 0 || !same_options(s, json_object_get(s->plan, "options"), err)))
        return -1;
    return take_words(s) < 0 ? rf_fail(err, RF_CANNOT, "'%s/" PLAN "' is no plan of a hunt", folder) : 0;
}

// From here on x is as the plan says and knows of no run but the first, in the shard that made it as in all others.
static int take_plan(struct sharing *s, struct rf_error *err) {
    hunt_release(&s->x->h);
    if (!take_options(s->x, json_object_get(s->plan, "options")) ||
        hunt_json_read_plan(s->x, json_object_get(s->plan, "shown")) < 0)
        return rf_fail(err, RF_CANNOT, "'%s/" PLAN "' is no plan of a hunt", s->state.folder);
    measure_list(s, json_is_true(json_object_get(s->plan, "only_first")));
    return 0;
}

// ---- a shard's share

// A run of the list that was made.
struct entry {
    uint64_t k;         // of the list, from 1
    char name[100];     // of its result
    char *schedule;     // text
    struct hunt before; // what the hunt knew before it
    bool found;         // a deadlock
};

static int publish(struct sharing *s, const struct entry *e, struct rf_error *err) {
    json_t *value = hunt_json_result(s->x, &e->before, e->k <= s->directed ? (size_t)e->k - 1 : SIZE_MAX);
    json_object_set_new(value, "run", json_integer((json_int_t)(e->k + 1)));
    json_object_set_new(value, "plan", report_json_text(e->schedule));
    json_object_set_new(value, "shard", json_sprintf("%" PRIu64 "/%" PRIu64, s->shard, s->shards));
    int published = state_publish(&s->state, e->name, value, err);
    json_decref(value);
    if (published == 0) drop_recordings(s, e->before.found_count); // the same shard twice
    if (published < 0) return -1;
    return e->found && !s->x->keep_going ? say_deadlock(s, e->name, err) : 0;
}

// Entry k, unless its result is there. What was stopped in the middle leaves none.
static int make_entry(struct sharing *s, uint64_t k, struct rf_error *err) {
    struct hunter *x = s->x;
    struct entry e = {.k = k, .before = x->h};
    char recording[4300];
    uint64_t begin = clock_us(CLOCK_MONOTONIC);
    e.schedule = entry_name(s, k, e.name, sizeof e.name);
    int result = 0;
    if (!state_has(&s->state, e.name)) {
        name_recording(s, k, recording, sizeof recording);
        bool directed = k <= s->directed;
        int found = directed ? hunt_candidate(x, (size_t)k - 1, err) : hunt_wide(x, k - 1 - s->directed, err);
        bool whole = found > 0 || (x->h.runs > e.before.runs && !(directed && hunt_over(x)));
        x->h.spent_us += clock_us(CLOCK_MONOTONIC) - begin;
        e.found = found > 0;
        result = found < 0 ? -1 : whole ? publish(s, &e, err) : 0;
    }
    free(e.schedule);
    return result;
}

static int make_share(struct sharing *s, struct rf_error *err) {
    struct hunter *x = s->x;
    x->runs_max = UINT64_MAX; // the list has its own end
    for (uint64_t k = s->shard; k < s->length && !hunt_over(x); k += s->shards)
        if (make_entry(s, k, err) < 0) return -1;
    if (interrupted() || found_elsewhere(s)) return 0;
    char name[80];
    snprintf(name, sizeof name, "ended-%06" PRIu64 "-of-%06" PRIu64 ".json", s->shard, s->shards);
    json_t *value = json_pack("{s:o}", "stopped", report_json_text(x->h.stopped));
    int published = state_publish(&s->state, name, value, err);
    json_decref(value);
    return published < 0 ? -1 : 0;
}

// ---- all of it

static int by_number(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

// The entries of which there is a result, and whether all shards of one sharing have come to their end.
static uint64_t *read_folder(const struct sharing *s, size_t *count, bool *ended) {
    uint64_t *list = NULL, number, of, all = 0, some = 0;
    DIR *d = opendir(s->state.folder);
    *count = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (sscanf(e->d_name, "ended-%" SCNu64 "-of-%" SCNu64 ".json", &number, &of) == 2) {
            if (of != all) some = 0;
            all = of;
            some++;
        }
        if (sscanf(e->d_name, "run-%" SCNu64 "-", &number) != 1 || number < 2 || number > s->length) continue;
        array_push(list, *count, number - 1);
    }
    if (d) closedir(d);
    *ended = all && some == all;
    if (list) qsort(list, *count, sizeof *list, by_number);
    return list;
}

static int add_results(struct sharing *s, const uint64_t *entries, size_t count, struct hunt_shared *shared,
                       struct rf_error *err) {
    const char *folder = s->state.folder;
    if (hunt_json_add_result(s->x, json_object_get(s->plan, "first"), 1, folder) < 0)
        return rf_fail(err, RF_CANNOT, "'%s/" PLAN "' is no plan of a hunt", folder);
    shared->done = 1;
    for (size_t i = 0; i < count; i++) {
        if (i && entries[i] == entries[i - 1]) continue;
        char name[100];
        json_t *value = NULL;
        free(entry_name(s, entries[i], name, sizeof name));
        int there = state_read(&s->state, name, &value, err);
        int added = there > 0 ? hunt_json_add_result(s->x, value, entries[i] + 1, folder) : there;
        json_decref(value);
        if (there < 0) return -1;
        if (added < 0) return rf_fail(err, RF_CANNOT, "'%s/%s' is no result of a hunt", folder, name);
        shared->done += there > 0;
    }
    return 0;
}

static const char *why_stopped(const struct sharing *s, const struct hunt_shared *shared) {
    const struct hunter *x = s->x;
    if (shared->complete && shared->done < s->length) return "the time is over";
    if (shared->complete && x->search == SEARCH_ALL && !hunt_has_wide(x))
        return "the program is one task: there are no other schedules";
    if (shared->complete) return x->search == SEARCH_DIRECTED ? NULL : "the number of runs is used up";
    return x->h.found_count && !x->keep_going ? "a deadlock was found" : "runs of the list are missing";
}

// Puts together what is known of the whole hunt: 0 or -1.
static int gather(struct sharing *s, struct rf_error *err) {
    struct hunter *x = s->x;
    if (take_plan(s, err) < 0) return -1; // what this shard knows of its own share is in its results
    size_t count;
    bool ended;
    uint64_t *entries = read_folder(s, &count, &ended);
    struct hunt_shared *shown = &s->shown;
    *shown = (struct hunt_shared){.folder = s->state.folder, .length = s->length};
    int failed = add_results(s, entries, count, shown, err);
    free(entries);
    if (failed < 0) return -1;
    shown->complete = s->length == UINT64_MAX ? ended : shown->done == s->length || ended;
    x->h.shared = shown;
    x->h.stopped = why_stopped(s, shown);
    return 0;
}

static int run_shard(struct sharing *s, struct rf_error *err) {
    struct hunter *x = s->x;
    char name[4200];
    state_temporary(&s->state, name, sizeof name);
    snprintf(x->trace, sizeof x->trace, "%.4100s.refork", name);
    snprintf(x->made, sizeof x->made, "%s.schedule", x->trace);
    x->give_up = found_elsewhere;
    x->context = s;
    int got = get_plan(s, err);
    if (got <= 0) return got;
    if (read_plan(s, err) < 0 || take_plan(s, err) < 0) return -1;
    x->h.runs = 1; // somebody has made the first one
    if (s->length == UINT64_MAX && !x->until_us)
        return rf_fail(err, RF_CANNOT, "the hunt in '%s' ends by time: give --for TIME", s->state.folder);
    return make_share(s, err) < 0 || gather(s, err) < 0 ? -1 : 1;
}

struct sharing *sharing_new(struct hunter *x, const char *folder, uint64_t shard, uint64_t shards) {
    struct sharing *s = calloc(1, sizeof *s);
    rf_assert(s);
    *s = (struct sharing){.x = x, .state.folder = folder, .shard = shard, .shards = shards};
    return s;
}

int sharing_run(struct sharing *s, struct rf_error *err) {
    return state_open(&s->state, s->state.folder, err) < 0 ? -1 : run_shard(s, err);
}

int sharing_read(struct sharing *s, struct rf_error *err) {
    s->x->h.argv = NULL;
    return read_plan(s, err) < 0 || gather(s, err) < 0 ? -1 : 0;
}

void sharing_free(struct sharing *s) {
    if (!s) return;
    hunt_release(&s->x->h);
    json_decref(s->plan);
    free(s->argv);
    free(s);
}
