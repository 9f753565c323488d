// What a fork left behind: for each thread that it did not take along, where it was and what of it stays in the child.
#include "replayer/verdict/vanished.h"

#include "core/array.h"
#include "replayer/verdict/advice.h"
#include "replayer/verdict/glibc.h"
#include "replayer/verdict/text.h"
#include "replayer/verdict/thread_locals.h"

#include <stdlib.h>
#include <string.h>

enum { VANISHED_MAX = 512, HANDLERS_SHOWN = 6 };

static void look_at(struct analysis *a, size_t life, const struct libc_layout *layout,
                    struct vanished_thread *out) {
    const struct life *l = &a->history.lives[life];
    struct replay *r = timeline_replay(a->timeline);
    const struct replay_task *task = replay_task_find(r, l->tid);
    struct view view;
    struct rf_error err;
    *out = (struct vanished_thread){.destructors = -1, .keys = -1, .cache_blocks = -1, .cache_bytes = -1};
    case_point(a, l->tid, &out->point);
    case_task(a, life, &out->point.stack, &out->task);
    out->task.vanished = true;
    if (!task || replay_view(r, l->tid, &view, &err) < 0) return;
    const struct view_map *stack = view_find(&view, task->regs.rsp);
    if (stack) out->stack_bytes = stack->end - stack->start;
    libc_thread(layout, &view, task->regs.fs_base, out);
    libc_thread_locals(timeline_symbols(a->timeline), layout, &view, task->regs.fs_base, out);
}

static size_t space_of_fork(const struct history *h, uint64_t fork) {
    for (size_t i = 0; i < h->space_count; i++)
        if (h->spaces[i].begin == fork && h->spaces[i].parent != NONE) return i;
    return NONE;
}

static const char *handler_name(struct analysis *a, const struct view *v, uint64_t address) {
    struct frame f;
    if (!address) return "-";
    symbols_pc(timeline_symbols(a->timeline), v, address, &f);
    return f.function ? f.function : "?";
}

// "Handlers that are registered (prepare, parent, child; prepare runs from the last to the first): ..."
static void say_handlers(struct analysis *a, struct finding *f, int tid) {
    struct fork_handler handlers[HANDLERS_SHOWN];
    struct view view;
    struct rf_error err;
    char text[600] = "";
    size_t used = 0;
    if (replay_view(timeline_replay(a->timeline), tid, &view, &err) < 0) return;
    int count = libc_fork_handlers(timeline_symbols(a->timeline), &view, handlers, HANDLERS_SHOWN);
    if (count < 0) return;
    for (int i = 0; i < count && i < HANDLERS_SHOWN && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%d. %s, %s, %s", i ? "; " : "", i + 1,
                                 handler_name(a, &view, handlers[i].prepare),
                                 handler_name(a, &view, handlers[i].parent),
                                 handler_name(a, &view, handlers[i].child));
    advice_add_handlers(f, text, (size_t)count, HANDLERS_SHOWN);
}

static int look_at_fork(struct analysis *a, struct finding *f, struct rf_error *err) {
    const struct history *h = &a->history;
    size_t child = space_of_fork(h, f->fork.event);
    struct libc_layout layout = {0};
    struct view view;
    struct rf_error ignored;
    if (child == NONE) return 0;
    if (timeline_seek(a->timeline, f->fork.event, err) < 0) return -1;
    int forker = h->spaces[child].forker;
    if (replay_view(timeline_replay(a->timeline), forker, &view, &ignored) == 0)
        libc_layout_read(timeline_symbols(a->timeline), &view, &layout);
    for (size_t i = 0; i < h->life_count && f->vanished_count < VANISHED_MAX; i++) {
        if (h->lives[i].space != h->spaces[child].parent || h->lives[i].tid == forker ||
            !life_at(&h->lives[i], f->fork.event))
            continue;
        look_at(a, i, &layout, array_add(f->vanished, f->vanished_count));
    }
    say_handlers(a, f, forker);
    return 0;
}

int vanished_fill(struct analysis *a, struct rf_error *err) {
    for (size_t i = 0; i < a->verdict->count; i++) {
        struct finding *f = &a->verdict->findings[i];
        if (f->kind == FINDING_ATFORK_DEADLOCK && !f->fork.event) {
            if (timeline_seek(a->timeline, f->waiting.event, err) < 0) return -1;
            say_handlers(a, f, f->waiter.tid);
        }
        if (f->fork.event && look_at_fork(a, f, err) < 0) return -1;
    }
    return 0;
}
