// A fork deadlock on a mutex whose page is written in many other ways while its holder has it: words beside it, string instructions
// over the page forwards and backwards, a stack in the page, and the mutex' own bytes written with what they hold already.
#include "samples/stage.h"

static struct {
    char before[1024];
    pthread_mutex_t lock;
    char stack[1024], after[1024];
} page __attribute__((aligned(4096))) = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void fill(void *to, int byte, size_t count) {
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(byte) : "memory");
}

static void copy_backwards(char *to, const char *from, size_t words) {
    to += 8 * (words - 1);
    from += 8 * (words - 1);
    __asm__ volatile("std; rep movsq; cld" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

static void push_there(void) {
    void *top = page.stack + sizeof page.stack;
    __asm__ volatile("xchg %0, %%rsp; pushf; push $7; pop %%rax; popf; xchg %0, %%rsp"
                     : "+r"(top)
                     :
                     : "rax", "memory", "cc");
}

static void write_around(void) {
    char copy[sizeof page.lock + 64];
    for (int i = 0; i < 100; i++) {
        page.before[i]++;
        page.after[i] = (char)i;
    }
    fill(page.before, 1, sizeof page.before);
    memcpy(copy, (char *)&page.lock - 32, sizeof copy);
    copy_backwards((char *)&page.lock - 32, copy, sizeof copy / 8); // over the mutex: what is there already
    copy_backwards(page.after, page.before, sizeof page.after / 8);
    push_there();
}

static void *hold(void *unused) {
    thread_name("holder");
    pthread_mutex_lock(&page.lock);
    write_around();
    hold_over_fork();
    return unused;
}

int main(void) {
    pthread_mutex_lock(&page.lock);
    write_around();
    pthread_mutex_unlock(&page.lock);
    thread_start(hold);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) {
        write_around();
        pthread_mutex_lock(&page.lock);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    return 0;
}
