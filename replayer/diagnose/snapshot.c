#include "replayer/diagnose/snapshot.h"

#include "core/futex.h"
#include "replayer/verdict/verdict.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { IMAGES_MAX = 256 << 20 }; // bytes, of one process

void snapshot_free(struct snapshot *s) {
    if (!s) return;
    notes_free(s->notes, s->note_count);
    free(s->threads);
    free(s->shared);
    s->release(s);
}

void snapshot_note(struct snapshot *s, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    notes_add(&s->notes, &s->note_count, format, ap);
    va_end(ap);
}

// A thread that a signal or a stop takes out of a sleeping call is inside the kernel's get_signal, where rax
// is the call's result: one of the kernel's four restart codes (include/linux/errno.h: 512, 513, 514, 516) if the
// call will be made again. A call that was woken has another result there.
void snapshot_read_call(struct snapshot_thread *t, const struct view *v) {
    const struct user_regs_struct *r = &t->regs;
    int64_t result = (int64_t)r->rax;
    uint8_t code[2];
    t->in_call = result <= -512 && result >= -516 && result != -515 && (int64_t)r->orig_rax >= 0;
    if (!t->in_call) return;
    // Code of a file that is gone cannot be read; what can be read must be a syscall instruction.
    if (v->read(v->context, r->rip - 2, code, sizeof code) && (code[0] != 0x0f || code[1] != 0x05))
        t->in_call = false;
    t->nr = (int)r->orig_rax;
    const uint64_t args[6] = {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9};
    memcpy(t->args, args, sizeof args);
}

bool snapshot_would_sleep(const struct snapshot_thread *t, const struct view *v) {
    uint32_t word;
    if (t->nr != SYS_futex) return true;
    return v->read(v->context, t->args[0], &word, sizeof word) && futex_would_sleep(t->args, word);
}

// What memory has of a file that is gone, at the places where the file had it.
static uint64_t image_of(struct snapshot *s, const struct view_map *maps, size_t from, size_t to) {
    uint64_t size = 0;
    for (size_t i = from; i < to; i++) {
        uint64_t end;
        if (__builtin_add_overflow(maps[i].offset, maps[i].end - maps[i].start, &end)) return 0;
        if (!(maps[i].prot & PROT_WRITE) && end > size) size = end;
    }
    char magic[SELFMAG];
    if (!s->view.read(s->view.context, maps[from].start, magic, sizeof magic) ||
        memcmp(magic, ELFMAG, SELFMAG) || !size || size > IMAGES_MAX - s->image_bytes)
        return 0;
    uint8_t *bytes = calloc(1, size);
    if (!bytes) return 0;
    s->image_bytes += size;
    for (size_t i = from; i < to; i++) {
        if (maps[i].prot & PROT_WRITE) continue;
        uint64_t len = maps[i].end - maps[i].start;
        if (s->view.read(s->view.context, maps[i].start, bytes + maps[i].offset, len)) continue;
        for (uint64_t at = 0; at < len; at += 4096)
            if (!s->view.read(s->view.context, maps[i].start + at, bytes + maps[i].offset + at, 4096))
                memset(bytes + maps[i].offset + at, 0, 4096);
    }
    return file_store_take(s->files, bytes, size);
}

void snapshot_name_file(struct snapshot *s, struct view_map *maps, size_t from, size_t to,
                        const char *const *paths, size_t path_count) {
    uint64_t id = 0;
    bool code = false;
    for (size_t i = from; i < to; i++)
        code |= maps[i].prot & PROT_EXEC;
    if (!code) return; // data: nothing to unwind or to name
    for (size_t i = 0; i < path_count && !id && !maps[from].offset; i++) {
        uint64_t found = paths[i] ? file_store_open(s->files, paths[i]) : 0;
        if (found && file_store_matches(s->files, found, &s->view, maps[from].start)) id = found;
    }
    if (!id) id = image_of(s, maps, from, to);
    for (size_t i = from; i < to; i++)
        maps[i].blob = id;
}
