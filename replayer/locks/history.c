#include "replayer/locks/history.h"

#include "replayer/names/cache.h"
#include "replayer/locks/pass.h"

#include "replayer/engine/probes.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

// Counts up when what a record holds changes its meaning, but not its size.
enum { LAYOUT = 2 };

void lock_history_free(struct lock_history *h) {
    if (!h) return;
    lock_words_release(&h->words);
    lock_touches_release(&h->touches);
    free(h->places);
    free(h->spaces);
    free(h->tasks);
    free(h->strings);
    free(h);
}

const char *lock_history_string(const struct lock_history *h, int32_t offset) {
    return offset >= 0 && (size_t)offset < h->strings_len ? h->strings + offset : "";
}

const char *lock_history_task_name(const struct lock_history *h, int tid) {
    for (size_t i = h->task_count; i-- > 0;)
        if (h->tasks[i].tid == tid) return lock_history_string(h, h->tasks[i].name);
    return "";
}

int32_t lock_history_add_string(struct lock_history *h, const char *text) {
    size_t len = strlen(text) + 1;
    if (h->strings_len + len > 1u << 30) return -1;
    char *grown = realloc(h->strings, h->strings_len + len);
    rf_assert(grown);
    memcpy(grown + h->strings_len, text, len);
    h->strings = grown;
    h->strings_len += len;
    return (int32_t)(h->strings_len - len);
}

// ---- kept beside the trace

// Arrays of plain records, in this order, each with its count before it.
struct section {
    void **data;
    size_t *count;
    size_t size;
};
enum { SECTIONS = 7 };

static void sections(struct lock_history *h, struct section out[SECTIONS]) {
    out[0] = (struct section){(void **)&h->words.locks, &h->words.count, sizeof *h->words.locks};
    out[1] = (struct section){(void **)&h->words.spans, &h->words.span_count, sizeof *h->words.spans};
    out[2] = (struct section){(void **)&h->words.ops, &h->words.op_count, sizeof *h->words.ops};
    out[3] = (struct section){(void **)&h->places, &h->place_count, sizeof *h->places};
    out[4] = (struct section){(void **)&h->spaces, &h->space_count, sizeof *h->spaces};
    out[5] = (struct section){(void **)&h->tasks, &h->task_count, sizeof *h->tasks};
    out[6] = (struct section){(void **)&h->strings, &h->strings_len, 1};
}

struct fixed {
    uint64_t from, to, hits, noted, steps, sites, uncovered, ops_dropped, dropped;
};

static void *pack(struct lock_history *h, size_t *len) {
    struct section s[SECTIONS];
    sections(h, s);
    *len = sizeof(struct fixed);
    for (int i = 0; i < SECTIONS; i++)
        *len += 8 + *s[i].count * s[i].size;
    char *out = malloc(*len), *p = out;
    rf_assert(out);
    const struct fixed fixed = {h->from,         h->to,    h->hits,      h->noted,
                                h->steps,        h->sites, h->uncovered, h->words.ops_dropped,
                                h->words.dropped};
    memcpy(p, &fixed, sizeof fixed);
    p += sizeof fixed;
    for (int i = 0; i < SECTIONS; i++) {
        uint64_t count = *s[i].count;
        memcpy(p, &count, 8);
        if (count) memcpy(p + 8, *s[i].data, count * s[i].size);
        p += 8 + count * s[i].size;
    }
    return out;
}

static bool is_place(const struct lock_history *h, uint32_t pc) {
    return pc == LOCK_NO_PLACE || pc < h->place_count;
}

// Indices of one array into another: a file that another program wrote is not trusted.
static bool is_sound(const struct lock_history *h) {
    const struct lock_words *w = &h->words;
    if (h->strings_len && h->strings[h->strings_len - 1]) return false;
    for (size_t i = 0; i < w->count; i++) {
        const struct lock *l = &w->locks[i];
        bool shared = l->space == LOCK_SHARED;
        if ((!shared && l->space >= h->space_count) || l->last_space >= h->space_count ||
            l->family >= LOCK_FAMILIES)
            return false;
        if (!is_place(h, l->longest.holder.pc) || !is_place(h, l->still.pc) || !is_place(h, l->taken.pc))
            return false;
    }
    for (size_t i = 0; i < w->span_count; i++)
        if (w->spans[i].lock >= w->count || !is_place(h, w->spans[i].holder.pc)) return false;
    for (size_t i = 0; i < w->op_count; i++)
        if (w->ops[i].lock >= w->count || !is_place(h, w->ops[i].pc)) return false;
    for (size_t i = 0; i < h->space_count; i++)
        if (h->spaces[i].parent != LOCK_SHARED && h->spaces[i].parent >= h->space_count) return false;
    return true;
}

static struct lock_history *unpack(const void *data, size_t len) {
    struct lock_history *h = calloc(1, sizeof *h);
    rf_assert(h);
    struct section s[SECTIONS];
    sections(h, s);
    const char *p = data, *end = p + len;
    struct fixed fixed;
    bool good = len >= sizeof fixed;
    if (good) {
        memcpy(&fixed, p, sizeof fixed);
        p += sizeof fixed;
        h->from = fixed.from;
        h->to = fixed.to;
        h->hits = fixed.hits;
        h->noted = fixed.noted;
        h->steps = fixed.steps;
        h->sites = fixed.sites;
        h->uncovered = fixed.uncovered;
        h->words.ops_dropped = fixed.ops_dropped;
        h->words.dropped = fixed.dropped;
    }
    for (int i = 0; i < SECTIONS && good; i++) {
        uint64_t count = 0;
        if ((good = end - p >= 8)) memcpy(&count, p, 8);
        if (!good || !(good = count <= (size_t)(end - p - 8) / s[i].size)) break;
        *s[i].data = malloc(count * s[i].size + 1);
        rf_assert(*s[i].data);
        memcpy(*s[i].data, p + 8, count * s[i].size);
        *s[i].count = count;
        p += 8 + count * s[i].size;
    }
    for (size_t i = 0; i < h->words.count; i++) {
        h->words.locks[i].holders = NULL;
        h->words.locks[i].holder_count = 0;
        h->words.locks[i].claims = NULL;
        h->words.locks[i].claim_count = 0;
    }
    if (good && p == end && is_sound(h)) return h;
    lock_history_free(h);
    return NULL;
}

// The trace, what was asked of it, and how this version writes it down.
static struct cache_key key_of(struct timeline *t, const struct lock_history_options *o) {
    const struct trace_header *header = trace_get_header(replay_trace(timeline_replay(t)));
    struct {
        struct trace_header header;
        uint64_t last, from, to, functions, layout;
    } k;
    memset(&k, 0, sizeof k);
    k.header = *header;
    k.last = timeline_last(t);
    k.from = o->from;
    k.to = o->to;
    for (size_t i = 0; o->functions && i < o->functions->count; i++)
        k.functions = XXH3_64bits_withSeed(&o->functions->v[i], sizeof o->functions->v[i], k.functions + 1);
    k.layout = sizeof(struct fixed) << 50 ^ sizeof(struct lock) << 40 ^ sizeof(struct lock_span) << 20 ^
               sizeof(struct lock_op) ^ (uint64_t)LAYOUT << 58;
    return cache_key(&k, sizeof k);
}

// Beside the trace, or in the user's cache where nothing can be written beside it.
static int path_of(const char *trace_path, struct cache_key key, int which, char *out, size_t size) {
    if (!which) return snprintf(out, size, "%s.locks", trace_path) < (int)size ? 0 : -1;
    char name[64];
    snprintf(name, sizeof name, "locks-%016llx%016llx", (unsigned long long)key.high,
             (unsigned long long)key.low);
    char *path = cache_path(name);
    if (!path) return -1;
    int failed = snprintf(out, size, "%s", path) < (int)size ? 0 : -1;
    free(path);
    return failed;
}

static struct lock_history *read_kept(const char *trace_path, struct cache_key key) {
    for (int which = 0; which < 2; which++) {
        char path[4200];
        size_t len;
        void *data =
            path_of(trace_path, key, which, path, sizeof path) == 0 ? cache_read(path, key, &len) : NULL;
        struct lock_history *h = data ? unpack(data, len) : NULL;
        free(data);
        if (h) return h;
    }
    return NULL;
}

static void keep_at(struct lock_history *h, const char *trace_path, struct cache_key key) {
    size_t len;
    void *data = pack(h, &len);
    char path[4200];
    for (int which = 0; which < 2; which++)
        if (path_of(trace_path, key, which, path, sizeof path) == 0 && cache_write(path, key, data, len) == 0)
            break;
    free(data);
}

// ---- the pass

uint32_t *lock_history_roots(const struct lock_history *h) {
    uint32_t *roots = malloc((h->space_count + 1) * sizeof *roots);
    rf_assert(roots);
    for (size_t i = 0; i < h->space_count; i++) // parents come first
        roots[i] = h->spaces[i].parent < i ? roots[h->spaces[i].parent] : (uint32_t)i;
    return roots;
}

static void finish(struct lock_history *h) {
    uint32_t *roots = lock_history_roots(h);
    lock_words_finish(&h->words, roots);
    free(roots);
}

static int run(struct timeline *t, struct lock_history *h, const struct lock_history_options *o,
               struct rf_error *err) {
    struct replay *r = timeline_replay(t);
    struct break_counts before, after;
    if (timeline_seek(t, h->from, err) < 0) return -1;
    struct lock_pass *p = lock_pass_new(t, h, o->functions, !o->no_cache);
    if (o->touches) lock_pass_touches(p);
    if (o->no_probes) lock_pass_stops(p);
    const struct break_client client = lock_pass_client(p);
    replay_break_counts(r, &before);
    int failed = replay_breaks(r, &client, err);
    if (!failed) {
        failed = timeline_seek(t, h->to, err);
        struct rf_error ignored;
        replay_breaks(r, NULL, &ignored);
        if (failed) timeline_reset(t, &ignored);
    }
    replay_break_counts(r, &after);
    lock_pass_tasks(p, r);
    h->hits = after.hits - before.hits;
    h->steps = after.steps - before.steps;
    lock_pass_free(p);
    finish(h);
    return failed;
}

int lock_history_make(struct timeline *t, const struct lock_history_options *options,
                      struct lock_history **out, struct rf_error *err) {
    struct lock_history_options o = *options;
    if (!o.to || o.to > timeline_last(t)) o.to = timeline_last(t);
    if (o.from > o.to)
        return rf_fail(err, RF_CANNOT, "there is no event %llu: the last one is %llu",
                       (unsigned long long)o.from, (unsigned long long)o.to);
    bool kept = o.trace_path && !o.no_cache;
    struct cache_key key = key_of(t, &o);
    struct lock_history *h = kept ? read_kept(o.trace_path, key) : NULL;
    if (!h) {
        h = calloc(1, sizeof *h);
        rf_assert(h);
        h->from = o.from;
        h->to = o.to;
        if (run(t, h, &o, err) < 0) {
            lock_history_free(h);
            return -1;
        }
        if (kept) keep_at(h, o.trace_path, key);
    }
    *out = h;
    return 0;
}

void lock_history_keep(struct timeline *t, struct lock_history *h,
                       const struct lock_history_options *options) {
    struct lock_history_options o = *options;
    if (!o.trace_path || o.no_cache) return;
    if (!o.to || o.to > timeline_last(t)) o.to = timeline_last(t);
    keep_at(h, o.trace_path, key_of(t, &o));
}

// ---- questions

size_t lock_history_held(const struct lock_history *h, uint64_t event, int pid, struct lock_span *out,
                         size_t max) {
    size_t n = 0;
    for (size_t i = 0; i < h->words.span_count; i++) {
        const struct lock_span *s = &h->words.spans[i];
        const struct lock *l = &h->words.locks[s->lock];
        const struct lock_space *space = &h->spaces[l->space == LOCK_SHARED ? l->last_space : l->space];
        if (s->holder.event > event || (s->to && s->to <= event) || (pid && space->pid != pid)) continue;
        if (l->space != LOCK_SHARED && space->begin > event) continue; // inherited, but not yet
        if (n < max) out[n] = *s;
        n++;
    }
    return n;
}

static bool lies_at(const struct lock_history *h, const struct lock *l, int pid, uint64_t address) {
    uint32_t space = l->space == LOCK_SHARED ? l->last_space : l->space;
    return l->confirmed && l->last_address == address && h->spaces[space].pid == pid;
}

const struct lock *lock_history_lock(const struct lock_history *h, int pid, uint64_t address) {
    for (size_t i = h->words.count; i-- > 0;)
        if (lies_at(h, &h->words.locks[i], pid, address)) return &h->words.locks[i];
    return NULL;
}

const struct lock_op *lock_history_last_acquire(const struct lock_history *h, int pid, uint64_t address,
                                                uint64_t event) {
    for (size_t i = h->words.op_count; i-- > 0;) {
        const struct lock_op *o = &h->words.ops[i];
        if (o->kind == LOCK_OP_ACQUIRE && o->event <= event &&
            lies_at(h, &h->words.locks[o->lock], pid, address))
            return o;
    }
    return NULL;
}
