// 30,000 mappings of a page each: whatever looks at all of them for one of them takes their number squared.
#include <stdio.h>
#include <sys/mman.h>

int main(void) {
    enum { N = 30000, PAGE = 4096 };
    char *p = mmap(NULL, (size_t)N * 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return 1;
    for (size_t i = 0; i < N; i++)
        if (mprotect(p + i * 2 * PAGE, PAGE, PROT_READ) != 0) return 1;
    puts("mapped");
    return 0;
}
