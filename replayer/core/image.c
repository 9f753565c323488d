#include "replayer/core/image.h"

enum { STRINGS_MOST = 1 << 20 }; // arguments; what is more is no stack of an exec

struct image image_find(struct timeline *t, uint64_t event, int pid) {
    struct replay *r = timeline_replay(t);
    struct image image = {0};
    struct event e;
    struct rf_error ignored;
    for (uint64_t n = event; n; n--) {
        if (timeline_event(t, n, &e, &ignored) < 0) return image;
        const struct replay_task *who = replay_task_find(r, e.tid);
        if (e.kind == EV_BIRTH && (int)e.aux == pid && !(e.flags & EVF_THREAD)) pid = who ? who->pid : 0;
        if (e.kind != EV_EXEC || !who || who->pid != pid) continue;
        const struct piece *regs = event_piece(&e, PIECE_REGS, NULL);
        image.exec_event = n;
        if (regs && regs->len == sizeof(struct user_regs_struct))
            image.stack = ((const struct user_regs_struct *)regs->data)->rsp;
        return image;
    }
    return image;
}

// argc, argv, 0, environment, 0, auxv (System V ABI for x86-64, 3.4.1).
size_t image_auxv(const struct image *image, image_reader read, void *context, Elf64_auxv_t *out,
                  size_t most) {
    uint64_t at = image->stack, argc, word = 1;
    if (!at || !read(context, at, &argc, sizeof argc) || argc > STRINGS_MOST) return 0;
    for (at += 8 * (argc + 2); word; at += 8)
        if (!read(context, at, &word, sizeof word)) return 0;
    for (size_t n = 0; n < most; n++, at += sizeof *out) {
        if (!read(context, at, &out[n], sizeof *out)) return 0;
        if (out[n].a_type == AT_NULL) return n + 1;
    }
    return 0;
}
