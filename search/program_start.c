#include "search/program_start.h"

#include <stdlib.h>
#include <string.h>

// As the kernel limits them (MAX_ARG_STRLEN; 6 MiB in all, of strings that may be one byte long).
enum { STRINGS_MAX = 1 << 16, STRING_MAX = 131072, TOTAL_MAX = 6 << 20 };

static char *read_string(const struct view *v, uint64_t address, size_t *total) {
    char *text = NULL;
    size_t used = 0;
    while (used < STRING_MAX && *total < TOTAL_MAX) {
        char part[256];
        size_t len = sizeof part - address % sizeof part; // does not go over the end of a page
        if (!v->read(v->context, address, part, len)) break;
        size_t n = strnlen(part, len);
        char *more = realloc(text, used + n + 1);
        rf_assert(more);
        text = more;
        memcpy(text + used, part, n);
        used += n;
        *total += n;
        text[used] = 0;
        if (n < len) return text;
        address += len;
    }
    free(text);
    return NULL;
}

static void free_strings(char **list) {
    for (char **s = list; s && *s; s++)
        free(*s);
    free(list);
}

// The list of pointers at *address, which ends with NULL; *address moves behind it. NULL: it cannot be read.
static char **read_strings(const struct view *v, uint64_t *address, size_t *total) {
    char **list = NULL;
    for (size_t n = 0; n < STRINGS_MAX; n++) {
        uint64_t pointer;
        char **more = reallocarray(list, n + 1, sizeof *list);
        rf_assert(more);
        list = more;
        list[n] = NULL;
        if (!v->read(v->context, *address, &pointer, sizeof pointer)) break;
        *address += sizeof pointer;
        if (!pointer) return list;
        list[n] = read_string(v, pointer, total);
        if (!list[n]) break;
    }
    free_strings(list);
    return NULL;
}

static char *path_of(const struct event *e) {
    for (size_t i = 0; i < e->piece_count; i++)
        if (e->pieces[i].kind == PIECE_TEXT && e->pieces[i].text.kind == TEXT_PATH && e->pieces[i].data)
            return strndup(e->pieces[i].data, e->pieces[i].len);
    return strdup("");
}

int program_start_read(struct timeline *t, struct program_start *out, struct rf_error *err) {
    struct view v;
    struct user_regs_struct regs;
    *out = (struct program_start){0};
    if (timeline_seek(t, 1, err) < 0) return -1;
    const struct event *e = replay_event(timeline_replay(t));
    if (!e || e->kind != EV_EXEC)
        return rf_fail(err, RF_CANNOT, "the recording does not begin with a program");
    out->path = path_of(e);
    size_t total = 0;
    if (replay_task_regs(timeline_replay(t), e->tid, &regs, err) == 0 &&
        replay_view(timeline_replay(t), e->tid, &v, err) == 0) {
        uint64_t address = regs.rsp + 8; // behind argc (System V ABI, AMD64 supplement, 3.4.1)
        out->argv = read_strings(&v, &address, &total);
        if (out->argv && out->argv[0]) out->environment = read_strings(&v, &address, &total);
    }
    if (out->environment) return 0;
    program_start_release(out);
    return rf_fail(err, RF_CANNOT,
                   "the recording does not show the program's arguments: name it behind '--'");
}

void program_start_release(struct program_start *p) {
    free(p->path);
    free_strings(p->argv);
    free_strings(p->environment);
    *p = (struct program_start){0};
}
