#include "core/event.h"

static const char *const kind_names[EV_KINDS] = {
#define EVENT(id, name, what) [EV_##id] = name,
#include "core/events.def"
#undef EVENT
};

static const char *const piece_names[PIECE_KINDS] = {
#define PIECE(id, name, what) [PIECE_##id] = name,
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

const struct piece *event_piece(const struct event *e, int kind, size_t *from) {
    for (size_t i = from ? *from : 0; i < e->piece_count; i++) {
        if (e->pieces[i].kind != kind) continue;
        if (from) *from = i + 1;
        return &e->pieces[i];
    }
    if (from) *from = e->piece_count;
    return NULL;
}
