#include "core/decode/recorded.h"

#include "core/abi.h"
#include "core/decode/calls.h"
#include "core/calls/syscalls.h"

#include <string.h>

struct names {
    const struct descriptors *descriptors;
    int tid;
    uint64_t number; // names are those behind this event
};

static bool read_pieces(void *context, uint64_t address, void *buffer, size_t len) {
    const struct event *e = context;
    for (size_t i = 0; i < e->piece_count; i++) {
        const struct piece *p = &e->pieces[i];
        if (p->kind != PIECE_MEM || address < p->mem.address || address - p->mem.address > p->len ||
            len > p->len - (address - p->mem.address))
            continue;
        if (len) memcpy(buffer, (const char *)p->data + (address - p->mem.address), len);
        return true;
    }
    return false;
}

struct decode_memory recorded_memory(const struct event *e) {
    return (struct decode_memory){read_pieces, (void *)e};
}

// The path of an open, as if memory had it: nothing else of what a call reads is in its event.
struct opened {
    const struct piece *path;
    uint64_t address;
};

static bool read_path(void *context, uint64_t address, void *buffer, size_t len) {
    const struct opened *o = context;
    for (size_t i = 0; i < len; i++) {
        uint64_t at = address + i - o->address;
        if (address + i < o->address || at > o->path->len) return false;
        ((char *)buffer)[i] = at < o->path->len ? ((const char *)o->path->data)[at] : 0;
    }
    return true;
}

static bool name(void *context, int fd, char *out, size_t size) {
    const struct names *n = context;
    return descriptors_name(n->descriptors, n->tid, n->number, fd, out, size);
}

void recorded_call(struct text *t, const struct event *e, const uint64_t *args, const struct descriptors *d) {
    if (!(e->flags & EVF_REGS) && !args) {
        text_add(t, "%s", syscall_name(e->nr));
        if (e->kind == EV_ENTER) return;
        text_add(t, " ");
        decode_result(t, &(struct decode_call){.nr = e->nr, .result = e->ret});
        return;
    }
    struct names names = {d, e->tid, e->number ? e->number - 1 : 0};
    struct decode_call c = {
        .nr = e->nr, .result = e->ret, .descriptor = d ? name : NULL, .descriptor_context = &names};
    c.out = recorded_memory(e);
    if (args)
        memcpy(c.args, args, sizeof c.args);
    else
        abi_arguments(&e->regs, c.args);
    struct opened opened = {event_piece(e, PIECE_TEXT, NULL), syscall_effect_on(e->nr, c.args)};
    if (opened.path && opened.path->text.kind == TEXT_PATH && syscall_effect(e->nr) == EFFECT_OPEN)
        c.in = (struct decode_memory){read_path, &opened};
    decode_entry(t, &c);
    if (e->kind == EV_ENTER) return;
    names.number = e->number;
    decode_exit(t, &c, 0);
}
