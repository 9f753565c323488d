#include "recorder/emulate/filters.h"

#include <stdlib.h>
#include <string.h>

struct filters {
    unsigned refs;
    struct filters *older;
    size_t length;
    struct sock_filter code[];
};

struct filters *filters_add(struct filters *older, const struct sock_filter *code, size_t length) {
    enum { MOST_IN_ALL = (1 << 18) / sizeof(struct sock_filter), EACH = 4 }; // MAX_INSNS_PER_PATH
    size_t all = length;
    for (const struct filters *f = older; f; f = f->older)
        all += f->length + EACH;
    struct filters *f = all <= MOST_IN_ALL ? malloc(sizeof *f + length * sizeof *code) : NULL;
    if (!f) return NULL;
    f->refs = 1;
    f->older = older;
    f->length = length;
    memcpy(f->code, code, length * sizeof *code);
    return f;
}

struct filters *filters_ref(struct filters *f) {
    if (f) f->refs++;
    return f;
}

void filters_unref(struct filters *f) {
    while (f && --f->refs == 0) {
        struct filters *older = f->older;
        free(f);
        f = older;
    }
}

bool filters_include(const struct filters *f, const struct filters *part) {
    while (f && f != part)
        f = f->older;
    return f == part;
}

unsigned filters_count(const struct filters *f) {
    unsigned n = 0;
    for (; f; f = f->older)
        n++;
    return n;
}

// The kernel compares the actions as signed numbers: SECCOMP_RET_KILL_PROCESS is below 0.
static int32_t rank(uint32_t action) {
    return (int32_t)(action & SECCOMP_RET_ACTION_FULL);
}

uint32_t filters_run(const struct filters *f, const struct seccomp_data *data) {
    uint32_t result = SECCOMP_RET_ALLOW;
    for (; f; f = f->older) {
        uint32_t one = bpf_run(f->code, f->length, data);
        if (rank(one) < rank(result)) result = one;
    }
    return result;
}
