// Writes all of its memory, 12 times, with much to do in between: each checkpoint of its replay has pages that no other one has.
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROUNDS = 12, BYTES = 4 << 20, TURNS = 40000000 };

int main(void) {
    char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 1;
    volatile uint32_t work = 1;
    for (int round = 1; round <= ROUNDS; round++) {
        memset(memory, round, BYTES);
        for (int i = 0; i < TURNS; i++)
            work = work * 3 + 1;
        getppid(); // an event: a checkpoint may stand here
    }
    printf("%u %d\n", work, memory[BYTES - 1]);
    return 0;
}
