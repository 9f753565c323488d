#include "tui/recording/lock_ops.h"

#include <stdio.h>
#include <stdlib.h>

// A lock in one address space, as long as that is what the story is about: the copy's story begins with its original's.
struct part {
    size_t lock; // index; SIZE_MAX: nothing is known of it there
    uint64_t from, until;
    int pid;
};

struct ops {
    struct tui_lock_op *items;
    size_t count, room;
};

enum { MOST_BEFORE = 4096, MOST_BEHIND = 1024, MOST_PARTS = 64 };

static struct tui_lock_op *add(struct ops *ops) {
    if (ops->count == ops->room) {
        ops->room = ops->room ? ops->room * 2 : 64;
        ops->items = reallocarray(ops->items, ops->room, sizeof *ops->items);
        rf_assert(ops->items);
    }
    struct tui_lock_op *o = &ops->items[ops->count++];
    *o = (struct tui_lock_op){0};
    return o;
}

static size_t lock_in(const struct lock_history *h, uint32_t space, uint64_t address) {
    for (size_t i = h->words.count; i-- > 0;)
        if (h->words.locks[i].space == space && h->words.locks[i].address == address) return i;
    return SIZE_MAX;
}

// The parts, the oldest one last.
static size_t parts_of(const struct lock_history *h, const struct lock *l, struct part *out) {
    size_t count = 0;
    uint64_t until = UINT64_MAX;
    uint32_t space = l->space == LOCK_SHARED ? l->last_space : l->space;
    if (l->space == LOCK_SHARED) { // one lock for all processes
        out[0] = (struct part){(size_t)(l - h->words.locks), 0, until, h->spaces[space].pid};
        return 1;
    }
    while (space < h->space_count && count < MOST_PARTS) {
        const struct lock_space *s = &h->spaces[space];
        out[count++] = (struct part){lock_in(h, space, l->address), s->begin, until, s->pid};
        until = s->begin;
        if (s->parent == space) break;
        space = s->parent;
    }
    return count;
}

static void add_accesses(const struct lock_history *h, const struct part *part, struct ops *ops) {
    static const uint8_t sorts[] = {[LOCK_OP_ACQUIRE] = TUI_OP_ACQUIRE,
                                    [LOCK_OP_TRY_FAILED] = TUI_OP_FAILED,
                                    [LOCK_OP_WAIT] = TUI_OP_WAIT,
                                    [LOCK_OP_RELEASE] = TUI_OP_RELEASE,
                                    [LOCK_OP_MARK] = TUI_OP_MARK};
    for (size_t i = 0; i < h->words.op_count; i++) {
        const struct lock_op *from = &h->words.ops[i];
        if (from->lock != part->lock || from->event > part->until || from->kind >= sizeof sorts) continue;
        struct tui_lock_op *o = add(ops);
        o->event = from->event;
        o->tid = from->tid;
        o->pid = part->pid;
        o->sort = sorts[from->kind];
        const struct lock_place *place = from->pc < h->place_count ? &h->places[from->pc] : NULL;
        if (place) snprintf(o->where, sizeof o->where, "%s", lock_history_string(h, place->function));
    }
}

// Who holds it behind what is there so far; 0: nobody.
static int holder_now(const struct ops *ops) {
    int holder = 0;
    for (size_t i = 0; i < ops->count; i++) {
        if (ops->items[i].sort == TUI_OP_ACQUIRE) holder = ops->items[i].tid;
        if (ops->items[i].sort == TUI_OP_RELEASE) holder = 0;
    }
    return holder;
}

static void add_fork(const struct lock_history *h, const struct part *part, struct ops *ops) {
    int holder = holder_now(ops), forker = 0;
    for (size_t i = 0; i < h->space_count; i++)
        if (h->spaces[i].pid == part->pid && h->spaces[i].begin == part->from) forker = h->spaces[i].forker;
    struct tui_lock_op *o = add(ops);
    o->event = part->from;
    o->tid = forker;
    o->pid = part->pid;
    o->sort = TUI_OP_FORK;
    if (holder)
        snprintf(o->where, sizeof o->where, "held by %s (%d)", lock_history_task_name(h, holder), holder);
    else
        snprintf(o->where, sizeof o->where, "free");
}

int lock_ops_story(const struct lock_history *h, const struct tui_lock_wish *wish,
                   struct tui_lock_story **out, struct rf_error *err) {
    const struct lock *l = lock_history_lock(h, wish->pid, wish->address);
    if (!l)
        return rf_fail(
            err, RF_CANNOT,
            "no lock was seen at 0x%llx in process %d: what no instruction of a lock touched has no history",
            (unsigned long long)wish->address, wish->pid);
    struct part parts[MOST_PARTS];
    struct ops ops = {0};
    for (size_t i = parts_of(h, l, parts), first = i; i-- > 0;) {
        if (i + 1 < first) add_fork(h, &parts[i], &ops);
        add_accesses(h, &parts[i], &ops);
    }
    size_t from = 0, to = ops.count, at = 0;
    while (at < ops.count && ops.items[at].event <= wish->event)
        at++;
    if (at > MOST_BEFORE) from = at - MOST_BEFORE;
    if (to > at + MOST_BEHIND) to = at + MOST_BEHIND;
    struct tui_lock_story *s = calloc(1, sizeof *s + (to - from) * sizeof *s->ops);
    rf_assert(s);
    s->total = ops.count;
    s->count = to - from;
    for (size_t i = from; i < to; i++)
        s->ops[i - from] = ops.items[i];
    const char *name = lock_history_string(h, l->name);
    if (*name)
        snprintf(s->name, sizeof s->name, "%s", name);
    else
        snprintf(s->name, sizeof s->name, "0x%llx", (unsigned long long)wish->address);
    free(ops.items);
    *out = s;
    return 0;
}
