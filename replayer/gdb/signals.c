#include "replayer/gdb/signals.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>

enum { KERNELS_LAST = 64, REAL_TIME_FIRST = 32, GDB_32 = 77, GDB_33 = 45, GDB_64 = 78 };

int signals_to_gdb(int number) {
    static const struct {
        int number, gdbs;
    } differ[] = {
#define SIGNAL(number, gdbs) {number, gdbs},
#include "replayer/gdb/signals.def"
#undef SIGNAL
    };
    for (size_t i = 0; i < sizeof differ / sizeof *differ; i++)
        if (differ[i].number == number) return differ[i].gdbs;
    if (number < REAL_TIME_FIRST || number > KERNELS_LAST) return number;
    if (number == REAL_TIME_FIRST) return GDB_32;
    return number == KERNELS_LAST ? GDB_64 : number - (REAL_TIME_FIRST + 1) + GDB_33;
}

uint64_t signals_of_list(const char *list) {
    uint64_t found = 0;
    for (char *end; *list; list = *end ? end + 1 : end) {
        long gdbs = strtol(list, &end, 16);
        if (end == list) break;
        for (int i = 1; i <= KERNELS_LAST; i++)
            if (signals_to_gdb(i) == gdbs) found |= 1ull << (i - 1);
    }
    return found;
}
