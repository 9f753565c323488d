#include "core/decode/sets.h"

#include <asm/prctl.h>
#include <asm/termbits.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct symbol {
    const char *name;
    uint64_t value, mask; // the bits that must be as in `value`
};

#define BEGIN(id, unknown) static const struct symbol id##_symbols[] = {
#define SYM(symbol)        {#symbol, (uint64_t)(symbol), 0},
#define AS(name, value)    {#name, (uint64_t)(value), 0},
#define PART(symbol, mask) {#symbol, (uint64_t)(symbol), (uint64_t)(mask)},
#define END                                                                                                  \
    { NULL, 0, 0 }                                                                                           \
    }                                                                                                        \
    ;
#include "core/decode/sets.def"
#undef BEGIN
#undef SYM
#undef AS
#undef PART
#undef END

static const struct set {
    const char *unknown; // what stands for a number without a name
    const struct symbol *symbols;
} sets[DECODE_SETS] = {
    [SET_NONE] = {"?", (const struct symbol[]){{NULL, 0, 0}}},
#define BEGIN(id, unknown) [SET_##id] = {unknown, id##_symbols},
#define SYM(symbol)
#define AS(name, value)
#define PART(symbol, mask)
#define END
#include "core/decode/sets.def"
#undef BEGIN
#undef SYM
#undef AS
#undef PART
#undef END
};

void decode_flags(struct text *t, enum decode_set set, uint64_t value) {
    uint64_t rest = value;
    int names = 0;
    for (const struct symbol *s = sets[set].symbols; s->name; s++) {
        uint64_t mask = s->mask ? s->mask : s->value;
        if (!mask || (value & mask) != s->value || (s->value && !(rest & s->value))) continue;
        text_add(t, names++ ? "|%s" : "%s", s->name);
        rest &= ~mask;
    }
    if (rest)
        text_add(t, names ? "|%#llx" : "%#llx /* %s */", (unsigned long long)rest, sets[set].unknown);
    else if (!names)
        text_add(t, "0");
}

const char *decode_name(enum decode_set set, uint64_t value) {
    for (const struct symbol *s = sets[set].symbols; s->name; s++)
        if (s->value == value) return s->name;
    return NULL;
}

void decode_enum(struct text *t, enum decode_set set, uint64_t value) {
    const char *name = decode_name(set, value);
    if (name)
        text_add(t, "%s", name);
    else
        text_add(t, "%#llx /* %s */", (unsigned long long)value, sets[set].unknown);
}
