// Recordings of test programs, in the scratch folder of the test.
#ifndef REFORK_TESTS_UNIT_RECORD_PROGRAM_H
#define REFORK_TESTS_UNIT_RECORD_PROGRAM_H

#include "recorder/record/record.h"
#include "tests/unit/scratch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CANNOT_RECORD = 125 };

// The path of a file in the scratch folder; a static buffer for each name that is in use (4).
static inline const char *scratch_path(const char *name) {
    static char paths[4][160];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof *paths, "%s/%s", scratch, name);
    return path;
}

// Records a program with one argument (NULL: none), without input and output. Returns the program's exit status, 120 if it
// is stuck.
static inline int record_program(const char *program, const char *argument, const char *trace,
                                 unsigned paranoid_every) {
    pid_t pid = fork(); // recording pins a process to a CPU, and takes its signals
    if (!pid) {
        char *argv[] = {(char *)program, (char *)argument, NULL};
        struct record_options options = {.output = trace, .argv = argv, .paranoid_every = paranoid_every};
        struct record_result result;
        struct rf_error err = {0};
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        setrlimit(RLIMIT_STACK, &(struct rlimit){8 << 20, RLIM_INFINITY}); // the size of thread stacks
        int failed = record_run(&options, &result, &err);
        if (failed) fprintf(stderr, "%s: %s\n", argument ? argument : program, err.text);
        _exit(failed ? CANNOT_RECORD : result.status);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), CANNOT_RECORD);
    return WEXITSTATUS(status);
}

#endif
