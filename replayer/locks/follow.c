#include "replayer/locks/follow.h"

#include "core/abi.h"
#include "core/array.h"
#include "core/probe.h"
#include "replayer/engine/probes.h"
#include "replayer/engine/break_hits.h"
#include "replayer/locks/notes.h"

#include <stdlib.h>

struct follow_module {
    uint64_t blob;
    struct lock_module m;
    struct lock_note *notes;
};

struct follow {
    struct timeline *timeline;
    struct follow_module *modules;
    size_t module_count;
    // follow_last
    struct follow_word word;
    struct follow_place *ring;
    size_t max;
    uint64_t found, unnoted;
    uint64_t event, index; // of the next note
    // follow_run
    const struct follow_place *places; // the next one is the last
    size_t left;
    follow_each each;
    void *context;
};

struct follow *follow_new(struct timeline *t) {
    struct follow *f = calloc(1, sizeof *f);
    rf_assert(f);
    f->timeline = t;
    return f;
}

void follow_free(struct follow *f) {
    for (size_t i = 0; f && i < f->module_count; i++) {
        lock_module_release(&f->modules[i].m);
        free(f->modules[i].notes);
    }
    if (f) free(f->modules);
    free(f);
}

static struct follow_module *module_of(struct follow *f, struct replay *r,
                                       const struct break_mapping *mapping) {
    for (size_t i = 0; i < f->module_count; i++)
        if (f->modules[i].blob == mapping->map.blob) return &f->modules[i];
    struct follow_module *m = array_add(f->modules, f->module_count);
    m->blob = mapping->map.blob;
    lock_module_read(f->timeline, r, mapping, NULL, true, &m->m);
    m->notes = calloc(m->m.count + 1, sizeof *m->notes);
    rf_assert(m->notes);
    for (size_t i = 0; i < m->m.count; i++) {
        m->notes[i] = lock_note_of(&m->m, i);
        m->notes[i].probe.registers = false;
    }
    return m;
}

static void mapped(void *context, struct replay *r, const struct break_mapping *mapping) {
    struct follow *f = context;
    if (!mapping->map.blob) return;
    struct follow_module *m = module_of(f, r, mapping);
    uint64_t bias;
    if (!m->m.elf || !elf_module_bias(m->m.elf, mapping->map.offset, mapping->map.start, &bias)) return;
    for (size_t i = 0; i < m->m.count; i++) {
        uint64_t at = m->m.sites[i].vaddr + bias;
        if (at < mapping->map.start || at >= mapping->map.end || !m->notes[i].probe.size) continue;
        replay_probe_add(r, mapping->space, at, m->m.sites[i].length, 0, &m->notes[i].probe);
    }
}

static bool is_word(const struct follow_word *w, struct replay *r, const struct break_notes *n,
                    uint64_t address) {
    if (!w->identity)
        return n->space == w->space && address - w->address + 7 < 11; // their 8 and 4 bytes overlap
    uint64_t identity, offset;
    return address % PAGE >> 3 == w->address % PAGE >> 3 &&
           replay_space_shared(r, n->space, address, &identity, &offset) && identity == w->identity &&
           offset - w->address + 7 < 11;
}

// A probe that could not be made: no note, so no place.
static enum break_action hit(void *context, struct replay *r, struct break_hit *h) {
    struct follow *f = context;
    struct atomic_result result;
    const struct break_notes here = {.space = h->space};
    if (replay_break_atomic(r, h, &result) < 0) {
        f->unnoted++;
        return BREAK_EXECUTE;
    }
    f->unnoted += is_word(&f->word, r, &here, result.address);
    return BREAK_DONE;
}

static enum break_action noted(void *context, struct replay *r, const struct break_notes *n) {
    struct follow *f = context;
    struct rf_error ignored;
    timeline_worked(f->timeline, 1, n->len / sizeof(struct probe_entry));
    if (timeline_report(f->timeline, 0, 1, &ignored) < 0) return BREAK_STOP;
    if (f->event != n->next_event) f->index = 0;
    f->event = n->next_event;
    uint64_t address, tag;
    for (size_t at = 0, size; at < n->len && f->ring; at += size, f->index++) {
        const struct probe_entry *e = (const struct probe_entry *)(n->bytes + at);
        if (!replay_probe_of(r, e, n->len - at, &address, &tag, &size)) break;
        if (is_word(&f->word, r, n, e->address))
            f->ring[f->found++ % f->max] = (struct follow_place){f->event, f->index};
    }
    return BREAK_EXECUTE;
}

// The access of the pause is noted behind it, as number 0 of what is to come.
static void paused(void *context, struct replay *r, const struct break_hit *h) {
    struct follow *f = context;
    (void)h;
    const struct follow_place now = f->places[--f->left];
    if (f->left && f->places[f->left - 1].event == now.event)
        replay_note_pause(r, f->places[f->left - 1].index - now.index);
    f->each(f->context, r, &now);
}

static void pause_in_next_step(struct follow *f, struct replay *r) {
    uint64_t next = replay_position(r) + 1;
    while (f->left && f->places[f->left - 1].event < next)
        f->left--;
    if (f->left && f->places[f->left - 1].event == next) replay_note_pause(r, f->places[f->left - 1].index);
}

static void stepped(void *context, struct replay *r, const struct event *e) {
    (void)e;
    pause_in_next_step(context, r);
}

static int run(struct follow *f, uint64_t until, struct rf_error *err) {
    struct replay *r = timeline_replay(f->timeline);
    const struct break_client client = {.mapped = mapped,
                                        .hit = hit,
                                        .noted = noted,
                                        .paused = f->left ? paused : NULL,
                                        .stepped = f->left ? stepped : NULL,
                                        .context = f};
    if (replay_breaks(r, &client, err) < 0) return -1;
    pause_in_next_step(f, r);
    int failed = timeline_seek(f->timeline, until, err);
    struct rf_error ignored;
    replay_breaks(r, NULL, &ignored);
    if (failed) timeline_reset(f->timeline, &ignored);
    return failed;
}

int follow_last(struct follow *f, const struct follow_word *word, struct event_span span,
                struct follow_place *out, size_t max, struct rf_error *err) {
    f->word = *word;
    f->found = f->unnoted = f->event = 0;
    f->left = 0;
    f->max = max;
    if (timeline_seek(f->timeline, span.from, err) < 0) return -1;
    f->ring = malloc(max * sizeof *f->ring);
    rf_assert(f->ring);
    int count = run(f, span.until, err);
    for (uint64_t i = f->found; count >= 0 && i-- > 0 && (size_t)count < max;)
        out[count++] = f->ring[i % max];
    free(f->ring);
    f->ring = NULL;
    return count;
}

bool follow_has_all(const struct follow *f) {
    return f->found < f->max && !f->unnoted;
}

int follow_run(struct follow *f, const struct follow_place *places, size_t count, uint64_t until,
               follow_each each, void *context, struct rf_error *err) {
    rf_assert(count);
    if (timeline_seek(f->timeline, places[count - 1].event - 1, err) < 0) return -1;
    f->places = places;
    f->left = count;
    f->each = each;
    f->context = context;
    return run(f, until, err);
}
