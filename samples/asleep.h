// A state to wait for, in place of a time that is hoped to be long enough.
#ifndef REFORK_SAMPLES_ASLEEP_H
#define REFORK_SAMPLES_ASLEEP_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Returns when that thread, of whatever process, sleeps in a call. It asks the kernel once a millisecond.
static inline void until_asleep(pid_t tid) {
    char path[32], text[512], *end = NULL;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)tid);
    while (!end || end[2] != 'S') { // "1234 (name) S 1 ..."
        if (end) usleep(1000);
        int fd = open(path, O_RDONLY);
        ssize_t got = read(fd, text, sizeof text - 1);
        if (got <= 0) abort();
        close(fd);
        text[got] = 0;
        end = strrchr(text, ')');
        if (!end) abort();
    }
}

#endif
