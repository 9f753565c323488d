// Busy with string instructions: each one works for many microseconds, so that it is interrupted in its middle.
#include "busy.h"

#include <string.h>

#define BYTES ((size_t)512 << 10)

static char buffers[2][2][BYTES];

static void fill(char *to, char with) {
    size_t count = BYTES;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(with) : "memory");
}

static void copy(char *to, const char *from) {
    size_t count = BYTES / 8;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static size_t find(const char *in, char what) {
    size_t left = BYTES;
    __asm__ volatile("repne scasb" : "+D"(in), "+c"(left) : "a"(what) : "memory", "cc");
    return BYTES - left;
}

static size_t same(const char *a, const char *b) {
    size_t left = BYTES;
    __asm__ volatile("repe cmpsb" : "+S"(a), "+D"(b), "+c"(left) : : "memory", "cc");
    return BYTES - left;
}

static void busy(int index) {
    char *a = buffers[index][0], *b = buffers[index][1];
    uint64_t mine = 0;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        fill(a, (char)mine);
        copy(b, a);
        b[BYTES - 1] ^= 1;
        mine += find(a, (char)(mine + 1)) / BYTES + same(a, b) / BYTES;
        atomic_store_explicit(&turns[index], mine, memory_order_relaxed);
    }
}
