#include "search/hunt_json.h"

#include "core/array.h"
#include "core/path.h"
#include "replayer/locks/words.h"
#include "replayer/report/json.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

// ---- structs, by tables of their fields

enum type { U64, U32, BOOL, REAL, TEXT };

struct field {
    const char *name;
    enum type type;
    size_t offset, size;
};

#define FIELD(type, of, member)                                                                              \
    { #member, type, offsetof(struct of, member), sizeof(((struct of *)0)->member) }
#define END                                                                                                  \
    { 0 }

// A new member is written and read here: the shards of a hunt know only what is.
_Static_assert(sizeof(struct candidate_fork) == 664, "fork_fields");
_Static_assert(sizeof(struct candidate_fork_use) == 32, "use_fields");
_Static_assert(sizeof(struct candidate) == 1376, "candidate_fields");
_Static_assert(sizeof(struct candidates) == 64, "total_fields");
_Static_assert(sizeof(struct hunt_try) == 544, "try_fields");
_Static_assert(sizeof(struct hunt_found) == 9432, "found_fields");
_Static_assert(sizeof(struct hunt_unhealthy) == 488, "unhealthy_fields");

static const struct field fork_fields[] = {
    FIELD(U64, candidate_fork, number),    FIELD(U64, candidate_fork, event),
    FIELD(U64, candidate_fork, time_us),   FIELD(U32, candidate_fork, forker),
    FIELD(U32, candidate_fork, child),     FIELD(U32, candidate_fork, hold.task),
    FIELD(U32, candidate_fork, hold.call), FIELD(U64, candidate_fork, hold.hit),
    FIELD(U64, candidate_fork, others),    FIELD(U32, candidate_fork, site),
    FIELD(TEXT, candidate_fork, place),    END};
static const struct field use_fields[] = {
    FIELD(U64, candidate_fork_use, fork), FIELD(BOOL, candidate_fork_use, taken),
    FIELD(U64, candidate_fork_use, after_us), FIELD(U64, candidate_fork_use, child_us), END};
static const struct field candidate_fields[] = {
    FIELD(U32, candidate, kind),        FIELD(U32, candidate, fork_site),
    FIELD(TEXT, candidate, module),     FIELD(U64, candidate, vaddr),
    FIELD(TEXT, candidate, function),   FIELD(TEXT, candidate, call),
    FIELD(TEXT, candidate, lock),       FIELD(U32, candidate, held_over),
    FIELD(U64, candidate, address),     FIELD(TEXT, candidate, word_module),
    FIELD(U64, candidate, word_offset), FIELD(U64, candidate, hits),
    FIELD(U64, candidate, takers),      FIELD(U32, candidate, order),
    FIELD(BOOL, candidate, descendant), FIELD(BOOL, candidate, forker_holds),
    FIELD(REAL, candidate, score),      END};
static const struct field total_fields[] = {FIELD(U64, candidates, fork_sites), FIELD(U64, candidates, sites),
                                            FIELD(U64, candidates, tasks), FIELD(BOOL, candidates, dropped),
                                            END};
static const struct field run_fields[] = {FIELD(U64, hunter, steps), FIELD(U64, hunter, first_ms),
                                          FIELD(TEXT, hunter, h.first_end), FIELD(TEXT, hunter, h.errors),
                                          END};
static const struct field count_fields[] = {FIELD(U64, hunt, runs),
                                            FIELD(U64, hunt, directed_runs),
                                            FIELD(U64, hunt, wide_runs),
                                            FIELD(U64, hunt, failed_runs),
                                            FIELD(U64, hunt, timed_out_runs),
                                            FIELD(U64, hunt, spent_us),
                                            END};
static const struct field try_fields[] = {FIELD(BOOL, hunt_try, tried),  FIELD(BOOL, hunt_try, found),
                                          FIELD(U32, hunt_try, verdict), FIELD(TEXT, hunt_try, reason),
                                          FIELD(U64, hunt_try, runs),    FIELD(U64, hunt_try, fork),
                                          FIELD(U64, hunt_try, ms),      END};
static const struct field found_fields[] = {FIELD(TEXT, hunt_found, how), FIELD(U64, hunt_found, candidate),
                                            FIELD(TEXT, hunt_found, key), END};
static const struct field unhealthy_fields[] = {FIELD(U64, hunt_unhealthy, candidate),
                                                FIELD(TEXT, hunt_unhealthy, how),
                                                FIELD(TEXT, hunt_unhealthy, ended), END};

static json_t *text_value(const char *s) {
    return *s ? report_json_text(s) : json_string("");
}

static json_t *write_value(const struct field *f, const char *at) {
    uint64_t number;
    uint32_t small;
    double real;
    switch (f->type) {
    case U64: // above 2^63: the same bits
        memcpy(&number, at, sizeof number);
        return json_integer((json_int_t)number);
    case U32:
        memcpy(&small, at, sizeof small);
        return json_integer(small);
    case BOOL:
        return json_boolean(*(const bool *)at);
    case REAL:
        memcpy(&real, at, sizeof real);
        return json_real(real);
    default:
        return text_value(at);
    }
}

static json_t *write_fields(const struct field *fields, const void *from) {
    json_t *o = json_object();
    for (const struct field *f = fields; f->name; f++)
        json_object_set_new(o, f->name, write_value(f, (const char *)from + f->offset));
    return o;
}

static bool read_value(const struct field *f, const json_t *value, char *to) {
    uint64_t number = (uint64_t)json_integer_value(value);
    uint32_t small = (uint32_t)number;
    double real = json_real_value(value);
    switch (f->type) {
    case U64:
        memcpy(to, &number, sizeof number);
        return json_is_integer(value);
    case U32:
        memcpy(to, &small, sizeof small);
        return json_is_integer(value) && number <= UINT32_MAX;
    case BOOL:
        *(bool *)to = json_is_true(value);
        return json_is_boolean(value);
    case REAL:
        memcpy(to, &real, sizeof real);
        return json_is_real(value);
    default:
        if (!json_is_string(value)) return false;
        return (size_t)snprintf(to, f->size, "%s", json_string_value(value)) < f->size;
    }
}

static bool read_fields(const struct field *fields, const json_t *o, void *to) {
    for (const struct field *f = fields; f->name; f++)
        if (!read_value(f, json_object_get(o, f->name), (char *)to + f->offset)) return false;
    return json_is_object(o);
}

// Arrays of structs.
static json_t *write_list(const struct field *fields, const void *from, size_t count, size_t size) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, write_fields(fields, (const char *)from + i * size));
    return list;
}

static bool read_list(const struct field *fields, const json_t *list, void **to, size_t *count, size_t size) {
    size_t n = json_array_size(list);
    *to = calloc(n + 1, size);
    rf_assert(*to);
    *count = n;
    for (size_t i = 0; i < n; i++)
        if (!read_fields(fields, json_array_get(list, i), (char *)*to + i * size)) return false;
    return json_is_array(list);
}

// ---- the plan

json_t *hunt_json_plan(const struct hunter *x) {
    const struct candidates *c = &x->h.candidates;
    json_t *list = write_list(candidate_fields, c->v, c->count, sizeof *c->v);
    for (size_t i = 0; i < c->count; i++) {
        json_t *one = json_array_get(list, i);
        json_object_set_new(one, "family", text_value(c->v[i].family));
        json_object_set_new(one, "uses",
                            write_list(use_fields, c->v[i].uses, c->v[i].use_count, sizeof *c->v[i].uses));
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "run", write_fields(run_fields, x), "totals",
                     write_fields(total_fields, c), "forks",
                     write_list(fork_fields, c->forks, c->fork_count, sizeof *c->forks), "candidates", list);
}

static bool read_candidate(struct candidates *c, struct candidate *one, const json_t *from) {
    void *uses;
    one->family = json_string_value(json_object_get(from, "family"));
    bool read =
        read_list(use_fields, json_object_get(from, "uses"), &uses, &one->use_count, sizeof *one->uses);
    one->uses = uses;
    if (!read || !one->use_count || !one->family || one->kind >= CANDIDATE_KINDS) return false;
    for (size_t i = 0; i < one->use_count; i++)
        if (one->uses[i].fork >= c->fork_count) return false;
    return true;
}

int hunt_json_read_plan(struct hunter *x, const json_t *plan) {
    struct candidates *c = &x->h.candidates;
    const json_t *list = json_object_get(plan, "candidates");
    void *forks, *v;
    if (json_array_size(list) > CANDIDATES_MAX) return -1;
    bool good = read_fields(run_fields, json_object_get(plan, "run"), x) &&
                read_fields(total_fields, json_object_get(plan, "totals"), c);
    good &= read_list(fork_fields, json_object_get(plan, "forks"), &forks, &c->fork_count, sizeof *c->forks);
    c->forks = forks;
    good &= read_list(candidate_fields, list, &v, &c->count, sizeof *c->v);
    c->v = v;
    for (size_t i = 0; i < c->count; i++)
        good &= read_candidate(c, &c->v[i], json_array_get(list, i));
    x->h.tries = calloc(c->count + 1, sizeof *x->h.tries);
    rf_assert(x->h.tries);
    return good ? 0 : -1;
}

// ---- results

static json_t *write_found(const struct hunt_found *f) {
    json_t *o = write_fields(found_fields, f);
    json_object_set_new(o, "trace", text_value(base_name(f->trace)));
    json_object_set_new(o, "schedule", text_value(base_name(f->schedule)));
    json_object_set_new(o, "text", text_value(f->text));
    json_object_set(o, "verdict", f->verdict);
    return o;
}

static json_t *write_unhealthy(const struct hunt_unhealthy *u) {
    json_t *o = write_fields(unhealthy_fields, u);
    json_object_set_new(o, "schedule", report_json_text(u->schedule));
    return o;
}

static json_t *write_counts(const struct hunt *now, const struct hunt *before) {
    json_t *o = json_object();
    for (const struct field *f = count_fields; f->name; f++) {
        uint64_t a, b;
        memcpy(&a, (const char *)before + f->offset, sizeof a);
        memcpy(&b, (const char *)now + f->offset, sizeof b);
        json_object_set_new(o, f->name, json_integer((json_int_t)(b - a)));
    }
    return o;
}

json_t *hunt_json_result(const struct hunter *x, const struct hunt *before, size_t candidate) {
    json_t *found = json_array(), *unhealthy = json_array(), *one = json_null();
    for (size_t i = before->found_count; i < x->h.found_count; i++)
        json_array_append_new(found, write_found(&x->h.found[i]));
    for (size_t i = before->unhealthy_count; i < x->h.unhealthy_count; i++)
        json_array_append_new(unhealthy, write_unhealthy(&x->h.unhealthy[i]));
    if (candidate != SIZE_MAX) {
        const struct hunt_try *y = &x->h.tries[candidate];
        one = write_fields(try_fields, y);
        json_object_set_new(one, "candidate", json_integer((json_int_t)candidate));
        json_object_set_new(one, "stage", text_value(y->stage ? y->stage : ""));
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "counts", write_counts(&x->h, before), "try", one, "found",
                     found, "unhealthy", unhealthy);
}

static bool candidate_exists(const struct hunter *x, size_t i) {
    return i == SIZE_MAX || i < x->h.candidates.count;
}

static bool read_try(struct hunter *x, const json_t *from) {
    if (json_is_null(from)) return true;
    size_t i = (size_t)json_integer_value(json_object_get(from, "candidate"));
    const char *stage = json_string_value(json_object_get(from, "stage"));
    if (!stage || i >= x->h.candidates.count) return false;
    struct hunt_try *y = &x->h.tries[i];
    if (!read_fields(try_fields, from, y) || y->verdict >= GATE_VERDICTS) return false;
    for (int k = 0; k < GATE_STAGES; k++)
        if (!strcmp(stage, gate_stage_name((enum gate_stage)k)))
            y->stage = gate_stage_name((enum gate_stage)k);
    return y->stage || !y->tried;
}

static bool join(char *out, size_t size, const char *folder, const json_t *name) {
    const char *base = json_string_value(name);
    *out = 0;
    if (!base || strchr(base, '/')) return false;
    return !*base || (size_t)snprintf(out, size, "%s/%s", folder, base) < size;
}

static bool read_found(struct hunter *x, const json_t *from, uint64_t run, const char *folder) {
    struct hunt_found f = {.run = run};
    const char *text = json_string_value(json_object_get(from, "text"));
    json_t *verdict = json_object_get(from, "verdict");
    if (!read_fields(found_fields, from, &f) || !candidate_exists(x, f.candidate) || !text ||
        !json_is_object(verdict) || !join(f.trace, sizeof f.trace, folder, json_object_get(from, "trace")) ||
        !join(f.schedule, sizeof f.schedule, folder, json_object_get(from, "schedule")))
        return false;
    for (size_t i = 0; i < x->h.found_count; i++)
        if (!strcmp(x->h.found[i].key, f.key)) return true;
    f.text = strdup(text);
    f.verdict = json_incref(verdict);
    rf_assert(f.text);
    array_push(x->h.found, x->h.found_count, f);
    return true;
}

static bool read_unhealthy(struct hunter *x, const json_t *from, uint64_t run) {
    struct hunt_unhealthy u = {.run = run};
    const char *schedule = json_string_value(json_object_get(from, "schedule"));
    if (!read_fields(unhealthy_fields, from, &u) || !candidate_exists(x, u.candidate)) return false;
    u.schedule = schedule ? strdup(schedule) : NULL;
    array_push(x->h.unhealthy, x->h.unhealthy_count, u);
    return true;
}

int hunt_json_add_result(struct hunter *x, const json_t *result, uint64_t run, const char *folder) {
    const json_t *found = json_object_get(result, "found"), *unhealthy = json_object_get(result, "unhealthy"),
                 *counts = json_object_get(result, "counts");
    if (!json_is_array(found) || !json_is_array(unhealthy)) return -1;
    for (const struct field *f = count_fields; f->name; f++) {
        const json_t *value = json_object_get(counts, f->name);
        uint64_t sum;
        if (!json_is_integer(value)) return -1;
        memcpy(&sum, (const char *)&x->h + f->offset, sizeof sum);
        sum += (uint64_t)json_integer_value(value);
        memcpy((char *)&x->h + f->offset, &sum, sizeof sum);
    }
    bool good = read_try(x, json_object_get(result, "try"));
    for (size_t i = 0; i < json_array_size(found); i++)
        good &= read_found(x, json_array_get(found, i), run, folder);
    for (size_t i = 0; i < json_array_size(unhealthy); i++)
        good &= read_unhealthy(x, json_array_get(unhealthy, i), run);
    return good ? 0 : -1;
}
