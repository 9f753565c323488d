// fork() takes the lock of glibc's list of streams, and fflush(NULL) holds it while it waits for each
// stream. One thread reads from stdin, with stdin's lock; another flushes everything and waits for it; main
// forks and waits for that one. The line that the reader waits for would come from main.
//
// expect: atfork-deadlock lock=list_all_lock holder=flusher start=flush_all
//         acquired=flush_all/IO_flush_all_lockp waiting=main/fork
// status: 120
#include "samples/stage.h"

#include <stdio.h>

static struct gate flushing;
static int input[2];

static void *read_line(void *unused) {
    (void)unused;
    thread_name("reader");
    flockfile(stdin);
    gate_open(&held);
    getchar();
    funlockfile(stdin);
    return NULL;
}

static ssize_t write_table(void *unused, const char *text, size_t size) {
    (void)unused, (void)text;
    gate_open(&flushing); // fflush(NULL) has the list now
    return (ssize_t)size;
}

static void *flush_all(void *unused) {
    (void)unused;
    thread_name("flusher");
    gate_wait(&held);
    fflush(NULL);
    return NULL;
}

int main(void) {
    if (pipe(input) || dup2(input[0], STDIN_FILENO) || pipe(flushing.fd)) return 1;
    fputs("a row", fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_table}));
    thread_start(read_line);
    thread_start(flush_all);
    gate_wait(&flushing);
    say("main: fork");
    pid_t child = fork(); // never returns
    if (child == 0) _exit(0);
    if (write(input[1], "\n", 1) != 1) return 1;
    return reap(child);
}
