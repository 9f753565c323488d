// test_breaks.c: two threads in a loop of which no instruction has room for a jump, and which jumps to where nobody knows. An
// iteration takes long enough that a breakpoint in it is no matter.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIZE = 1 << 20, TURNS = 1500 };

unsigned short_loop(unsigned turns, unsigned size, void *to);
__asm__(".text\n.globl short_loop\n.type short_loop, @function\n"
        "short_loop: mov %rdx,%r8\nlea 2f(%rip),%rdx\nxor %eax,%eax\nmov %edi,%r9d\n"
        "1: inc %eax\njmp *%rdx\n"
        "2: mov %r8,%rdi\nmov %esi,%ecx\nrep stosb\ndec %r9d\njnz 1b\nret\n.size short_loop, .-short_loop\n");

static void *work(void *unused) {
    (void)unused;
    char *to = malloc(SIZE);
    if (!to) abort();
    unsigned turns = short_loop(TURNS, SIZE, to);
    printf("%u %d\n", turns, to[turns]);
    free(to);
    return NULL;
}

int main(void) {
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
