// A view of a stopped live process, and small programs to make one of: shared by the tests of unwinding and
// symbols.
#ifndef REFORK_TESTS_UNIT_LIVE_VIEW_H
#define REFORK_TESTS_UNIT_LIVE_VIEW_H

#include "core/proc_maps.h"
#include "core/view.h"
#include "tests/unit/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LIVE_MAPS 256

struct live {
    pid_t pid, tid;
    struct view view;
    struct view_map maps[LIVE_MAPS];
    char names[LIVE_MAPS][256];
    struct {
        void *data;
        size_t size;
        char path[256];
    } blobs[LIVE_MAPS];
    size_t blob_count;
    struct user_regs_struct regs;
};

static bool live_read(void *context, uint64_t address, void *buffer, size_t len) {
    struct live *l = context;
    struct iovec local = {buffer, len}, remote = {(void *)address, len};
    return process_vm_readv(l->pid, &local, 1, &remote, 1, 0) == (ssize_t)len;
}

static const void *live_blob(void *context, uint64_t id, size_t *size) {
    struct live *l = context;
    if (!id || id > l->blob_count) return NULL;
    *size = l->blobs[id - 1].size;
    return l->blobs[id - 1].data;
}

static uint64_t live_add_blob(struct live *l, const char *path, uint64_t start, uint64_t end) {
    for (size_t i = 0; i < l->blob_count; i++)
        if (!strcmp(l->blobs[i].path, path)) return i + 1;
    void *data = MAP_FAILED;
    size_t size = 0;
    if (!strcmp(path, "[vdso]")) {
        size = end - start;
        data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (data != MAP_FAILED) live_read(l, start, data, size);
    } else {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;
        if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0) {
            size = (size_t)st.st_size;
            data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        }
        if (fd >= 0) close(fd);
    }
    if (data == MAP_FAILED) return 0;
    snprintf(l->blobs[l->blob_count].path, sizeof l->blobs[0].path, "%s", path);
    l->blobs[l->blob_count].data = data;
    l->blobs[l->blob_count].size = size;
    return ++l->blob_count;
}

// Reads registers and maps of the stopped task.
static void live_refresh(struct live *l) {
    scoped_maps struct proc_maps maps;
    struct proc_map map;
    assert_true(proc_maps_open(&maps, l->pid));
    size_t n = 0;
    while (n < LIVE_MAPS && proc_maps_next(&maps, &map)) {
        struct view_map *m = &l->maps[n];
        snprintf(l->names[n], sizeof l->names[n], "%s", map.name);
        *m = (struct view_map){
            .start = map.start, .end = map.end, .offset = map.offset, .prot = map.prot, .name = l->names[n]};
        if (l->names[n][0] == '/' || !strcmp(l->names[n], "[vdso]"))
            m->blob = live_add_blob(l, l->names[n], map.start, map.end);
        n++;
    }
    l->view = (struct view){l->maps, n, live_read, live_blob, l};
    assert_int_equal(ptrace(PTRACE_GETREGS, l->tid, 0, &l->regs), 0);
}

// Runs `argv` traced, stopped at its first instruction.
static struct live *live_start(char *const argv[]) {
    struct live *l = calloc(1, sizeof *l);
    assert_non_null(l);
    l->pid = l->tid = fork();
    assert_true(l->pid >= 0);
    if (!l->pid) {
        personality(ADDR_NO_RANDOMIZE);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        execv(argv[0], argv);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(l->pid, &status, 0), l->pid);
    assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
    assert_int_equal(ptrace(PTRACE_SETOPTIONS, l->pid, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE), 0);
    live_refresh(l);
    return l;
}

// Goes on (other signals are delivered) until some task stops with `signal`.
static void live_until(struct live *l, int signal) {
    int status, deliver = 0;
    pid_t tid = l->tid;
    for (;;) {
        assert_int_equal(ptrace(PTRACE_CONT, tid, 0, deliver), 0);
        tid = waitpid(-1, &status, __WALL);
        assert_true(tid > 0);
        if (!WIFSTOPPED(status)) fail_msg("the program ended with status %#x before it stopped", status);
        deliver = 0;
        if (status >> 16) continue; // a thread was made
        if (WSTOPSIG(status) == signal) break;
        if (WSTOPSIG(status) != SIGSTOP) deliver = WSTOPSIG(status);
    }
    l->tid = tid;
    live_refresh(l);
}

static void live_free(struct live *l) {
    kill(l->pid, SIGKILL);
    // The leader of a process is reported after all its traced threads.
    int status;
    if (l->tid != l->pid)
        while (waitpid(l->tid, &status, __WALL) > 0 && WIFSTOPPED(status))
            ;
    while (waitpid(l->pid, &status, __WALL) > 0 && WIFSTOPPED(status))
        ;
    for (size_t i = 0; i < l->blob_count; i++)
        munmap(l->blobs[i].data, l->blobs[i].size);
    free(l);
}

// The line of `text` that holds `mark`.

#endif
