// What the samples share: gates that make the interleaving the same in every run. They are pipes, since a
// pipe is no lock: nothing of the stage can show up in a verdict. Where a sample sleeps (ok_*), the long wait that ends is what it
// shows: refork must have the patience for it.
#ifndef REFORK_SAMPLES_STAGE_H
#define REFORK_SAMPLES_STAGE_H

#include "samples/asleep.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct gate {
    int fd[2];
};

// Opened by the thread that has what the child will miss, and by main when the fork is over.
static struct gate held, forked;
// Where that matters: opened by main when nothing is left to do but to wait for the child.
static struct gate settled;

__attribute__((constructor)) static void gates_make(void) {
    if (pipe(held.fd) || pipe(forked.fd) || pipe(settled.fd)) abort();
}

// Lets one thread through.
static inline void gate_open(struct gate *g) {
    if (write(g->fd[1], "", 1) != 1) abort();
}

static inline void gate_wait(struct gate *g) {
    char byte;
    if (read(g->fd[0], &byte, 1) != 1) abort();
}

// Says to main "I have it", and keeps it until main has forked.
static inline void hold_over_fork(void) {
    gate_open(&held);
    gate_wait(&forked);
}

static inline pthread_t thread_start(void *(*routine)(void *)) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, routine, NULL)) abort();
    return thread;
}

static inline void thread_name(const char *name) {
    pthread_setname_np(pthread_self(), name);
}

// Prints a line without stdio and its locks.
static inline void say(const char *line) {
    char text[128];
    size_t length = strlen(line);
    if (length >= sizeof text) abort();
    memcpy(text, line, length);
    text[length++] = '\n';
    if (write(STDOUT_FILENO, text, length) != (ssize_t)length) abort();
}

// Waits for the child; its status, or 128 and the signal that killed it.
static inline int reap(pid_t child) {
    int status;
    if (waitpid(child, &status, 0) != child) abort();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
