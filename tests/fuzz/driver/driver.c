// A target without libFuzzer: TARGET SEED COUNT FILE... takes each file, then COUNT changes of them. `TARGET FILE` repeats one.
// What crashes is kept as crash-SEED in the current folder.
#include "tests/fuzz/driver.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 1 << 20 };

static uint64_t state;
static uint8_t input[2 * MOST];
static size_t length;
static char kept[64];

static uint64_t rng(void) {
    state += 0x9e3779b97f4a7c15ull;
    uint64_t z = state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static void on_crash(int signal) {
    FILE *f = fopen(kept, "w");
    if (f) {
        fwrite(input, 1, length, f);
        fclose(f);
    }
    fprintf(stderr, "signal %d: the input is in '%s'\n", signal, kept);
    _exit(1);
}

static void load(const char *path) {
    FILE *f = fopen(path, "r");
    if (!f) {
        perror(path);
        exit(2);
    }
    length = fread(input, 1, MOST, f);
    fclose(f);
}

// One of: bits, bytes, numbers at the edges, a piece again or away, the end away.
static void change(void) {
    static const uint64_t edges[] = {0,          1,          0x7f,       0x80,  0xff,
                                     0x7fffffff, 0x80000000, 0xffffffff, ~0ull, 1ull << 63};
    size_t at = length ? rng() % length : 0,
           len = length ? rng() % (length - at < 64 ? length - at + 1 : 64) : 0;
    uint64_t edge = edges[rng() % (sizeof edges / sizeof *edges)];
    static const size_t widths[] = {1, 2, 4, 8};
    size_t width = widths[rng() % 4];
    switch (rng() % 6) {
    case 0:
        if (length) input[at] ^= (uint8_t)(1u << rng() % 8);
        break;
    case 1:
        if (length) input[at] = (uint8_t)rng();
        break;
    case 2:
        if (at + width <= length) memcpy(input + at, &edge, width);
        break;
    case 3:
        if (length + len > MOST) break;
        memmove(input + at + len, input + at, length - at);
        length += len;
        break;
    case 4:
        memmove(input + at, input + at + len, length - at - len);
        length -= len;
        break;
    default:
        if (rng() % 8 == 0) length = at;
    }
}

int main(int argc, char **argv) {
    const bool one = argc == 2;
    if (argc != 2 && argc < 4) {
        fprintf(stderr, "usage: %s SEED COUNT FILE..., or %s FILE\n", argv[0], argv[0]);
        return 2;
    }
    signal(SIGABRT, on_crash);
    signal(SIGALRM, on_crash);
    uint64_t seed = one ? 0 : strtoull(argv[1], NULL, 10), count = one ? 0 : strtoull(argv[2], NULL, 10);
    const int first = one ? 1 : 3, files = argc - first;
    for (int i = 0; i < files; i++) {
        snprintf(kept, sizeof kept, "crash-file-%d", i);
        load(argv[first + i]);
        alarm(60);
        LLVMFuzzerTestOneInput(input, length);
    }
    for (uint64_t n = 0; files && n < count; n++) {
        state = seed + n;
        snprintf(kept, sizeof kept, "crash-%llu", (unsigned long long)(seed + n));
        load(argv[first + (int)(rng() % (unsigned)files)]);
        for (uint64_t changes = 1 + rng() % 8; changes; changes--)
            change();
        alarm(60);
        LLVMFuzzerTestOneInput(input, length);
    }
    return 0;
}
