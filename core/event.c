#include "core/event.h"

#include "core/cpu/xstate.h"
#include "core/loop_site.h"

#include <assert.h>
#include <signal.h>

static const char *const kind_names[EV_KINDS] = {
#define EVENT(id, name, what) [EV_##id] = name,
#include "core/events.def"
#undef EVENT
};

static const char *const piece_names[PIECE_KINDS] = {
#define PIECE(id, name, ...) [PIECE_##id] = #name,
#include "core/events.def"
#undef PIECE
};

const char *event_kind_name(int kind) {
    return kind > 0 && kind < EV_KINDS ? kind_names[kind] : "?";
}

const char *piece_kind_name(int kind) {
    return kind > 0 && kind < PIECE_KINDS ? piece_names[kind] : "?";
}

const char *wait_kind_name(uint64_t kind) {
    static const char *const names[WAIT_KINDS] = {"outside", "futex",   "child",     "timed",
                                                  "yield",   "spin",    "pipe-read", "pipe-write",
                                                  "socket",  "eventfd", "file-lock", "sysv"};
    return kind < WAIT_KINDS ? names[kind] : "?";
}

const char *end_reason_text(int reason) {
    static const char *const texts[END_REASONS] = {
        [END_BY_ITSELF] = "ended by itself",
        [END_STUCK] = "stopped by refork: stuck for ever",
        [END_GATE_DONE] = "stopped by refork: the fork gate is decided",
        [END_TIME_OVER] = "stopped by refork: its time is over",
        [END_FROM_OUTSIDE] = "stopped from outside",
        [END_FAILED] = "stopped by refork: it could not go on",
    };
    return reason > 0 && reason < END_REASONS ? texts[reason] : "?";
}

// ---- what is promised of an event

enum { ANY = -1 };

static const int piece_sizes[PIECE_KINDS] = {
#define PIECE(id, name, size, ...) [PIECE_##id] = size,
#include "core/events.def"
#undef PIECE
};

#define PIECE(id, name, ...)                                                                                 \
    static_assert(sizeof(struct piece_##name) <= PIECE_VALUES * sizeof(uint64_t), #name);
#include "core/events.def"
#undef PIECE

int piece_size(int kind) {
    return kind > 0 && kind < PIECE_KINDS ? piece_sizes[kind] : ANY;
}

static bool one_of(int64_t number, int64_t first, int64_t end) {
    return number >= first && number < end;
}

static const char *number_fault(const struct event *e) {
    switch (e->kind) {
    case EV_TRAP:
        if (!one_of(e->nr, TRAP_RDTSC, TRAP_KINDS)) return "there is no such trapped instruction";
        return e->aux < TRAP_BYS ? NULL : "there is no such way to trap an instruction";
    case EV_SIGNAL:
        if (e->nr < 1 || e->nr > 64) return "there is no such signal";
        return e->aux < SIGNAL_PLACES ? NULL : "there is no such place for a signal";
    case EV_BREAK:
        return one_of(e->nr, BREAK_BEFORE, BREAK_BEHIND + 1) ? NULL : "there is no such place for a break";
    case EV_END:
        return one_of(e->nr, END_BY_ITSELF, END_REASONS) ? NULL : "there is no such reason for the end";
    default:
        return NULL;
    }
}

static const char *piece_fault(const struct piece *p) {
    const int size = piece_size(p->kind);
    if (size != ANY && p->len != (size_t)size) return "a piece's data has a wrong size";
    if (p->kind == PIECE_XSTATE && !xstate_packed_good(p->data, p->len))
        return "extended registers are not packed as they must be";
    if (p->kind == PIECE_TEXT && p->text.kind >= TEXT_KINDS) return "there is no such kind of text";
    if (p->kind == PIECE_WAIT && !one_of((int64_t)p->wait.kind, WAIT_FUTEX, WAIT_KINDS))
        return "there is no such kind of wait";
    if (p->kind == PIECE_WORD && !one_of((int64_t)p->word.size, 1, 9)) return "a word has 1 to 8 bytes";
    return NULL;
}

const char *event_fault(const struct event *e) {
    if (e->flags & ~EVF_ALL) return "there is no such flag";
    const char *fault = number_fault(e);
    for (size_t i = 0; !fault && i < e->piece_count; i++)
        fault = piece_fault(&e->pieces[i]);
    return fault;
}

unsigned event_own_steps(int kind) {
    static const uint8_t steps[EV_KINDS] = {[EV_SYSCALL] = 2, [EV_ENTER] = 1, [EV_EXIT] = 1, [EV_TRAP] = 1};
    return kind > 0 && kind < EV_KINDS ? steps[kind] : 0;
}

const struct piece *event_piece(const struct event *e, int kind, size_t *from) {
    for (size_t i = from ? *from : 0; i < e->piece_count; i++) {
        if (e->pieces[i].kind != kind) continue;
        if (from) *from = i + 1;
        return &e->pieces[i];
    }
    if (from) *from = e->piece_count;
    return NULL;
}
