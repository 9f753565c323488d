#include "search/learn/workshop.h"

#include "core/path.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_STARTED = 127 };

static bool is_root(const char *path) {
    char learn[WORKSHOP_PATH + 64];
    struct stat st;
    snprintf(learn, sizeof learn, "%s/samples/learn", path);
    return stat(learn, &st) == 0 && S_ISDIR(st.st_mode);
}

int workshop_find(struct workshop *w, struct rf_error *err) {
    // Of PREFIX/bin/refork, and of a build folder inside the sources
    static const char *const places[] = {"../share/refork", ".."};
    *w = (struct workshop){0};
    ssize_t len = readlink("/proc/self/exe", w->refork, sizeof w->refork - 1);
    char *slash = len > 0 ? strrchr(w->refork, '/') : NULL;
    if (!slash) return rf_fail_errno(err, RF_CANNOT, "cannot tell where refork's own file is");
    *slash = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char path[WORKSHOP_PATH + 32];
        snprintf(path, sizeof path, "%s/%s", w->refork, places[i]);
        if (is_root(path) && realpath(path, w->root)) return 0;
    }
    return rf_fail(err, RF_CANNOT,
                   "the lessons are missing: '%s/../share/refork/samples/learn' is not there; 'make install' "
                   "puts it there",
                   w->refork);
}

int workshop_open(struct workshop *w, struct rf_error *err) {
    const char *tmp = getenv("TMPDIR");
    snprintf(w->folder, sizeof w->folder, "%s/refork-learn-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (mkdtemp(w->folder)) return 0;
    rf_fail_errno(err, RF_CANNOT, "cannot make a folder for the lesson, '%s'", w->folder);
    w->folder[0] = 0;
    return -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st;
    (void)type;
    (void)ftw;
    remove(path);
    return 0;
}

void workshop_close(struct workshop *w) {
    if (w->folder[0]) nftw(w->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    w->folder[0] = 0;
}

// Runs argv with its output in the file `words`: its exit status; NOT_STARTED, or -1 with *err.
static int run(const char *const argv[], const char *words, struct rf_error *err) {
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) return rf_fail_errno(err, RF_CANNOT, "cannot start '%s'", argv[0]);
    if (!child) {
        int in = open("/dev/null", O_RDONLY), out = open(words, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) _exit(NOT_STARTED);
        setenv("LC_ALL", "C", 1);
        execvp(argv[0], (char *const *)argv);
        _exit(NOT_STARTED);
    }
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return rf_fail_errno(err, RF_CANNOT, "lost '%s'", argv[0]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool is_cpp(const char *source) {
    size_t len = strlen(source);
    return len > 3 && !strcmp(source + len - 3, ".cc");
}

int workshop_compile(const struct workshop *w, const char *source, const char *name, struct rf_error *err) {
    const char *compiler = getenv(is_cpp(source) ? "CXX" : "CC");
    char include[WORKSHOP_PATH + 2], program[WORKSHOP_PATH + 256], words[WORKSHOP_PATH + 256];
    if (!compiler || !*compiler) compiler = is_cpp(source) ? "c++" : "cc";
    snprintf(include, sizeof include, "-I%s", w->root);
    snprintf(program, sizeof program, "%s/%s", w->folder, name);
    snprintf(words, sizeof words, "%s/%s.words", w->folder, name);
    const char *const argv[] = {compiler,   is_cpp(source) ? "-std=gnu++20" : "-std=gnu17",
                                "-O0",      "-g",
                                "-Wall",    "-D_GNU_SOURCE",
                                include,    "-o",
                                program,    source,
                                "-pthread", NULL};
    int status = run(argv, words, err);
    if (status == NOT_STARTED)
        return rf_fail(err, RF_NOT_FOUND, "no compiler '%s' here: install one (Debian: apt-get install gcc)",
                       compiler);
    struct stat st;
    // What is wrong with a source is said; a full disk takes the words as well.
    if (status > 0 && (stat(words, &st) < 0 || st.st_size == 0))
        return rf_fail(err, RF_CANNOT, "'%s' ended with status %d without a word: is there room in '%s'?",
                       compiler, status, w->folder);
    return status > 0 ? 1 : status;
}

int workshop_build(const struct workshop *w, const char *source, const char *name, char *program,
                   struct rf_error *err) {
    char path[2 * WORKSHOP_PATH];
    snprintf(path, sizeof path, "%s/%s", w->root, source);
    int status = workshop_compile(w, path, name, err);
    if (status == 0) {
        snprintf(program, WORKSHOP_PATH, "%.3800s/%.200s", w->folder, name);
        return 0;
    }
    if (status == 1) { // the folder goes with the lesson, so the first line is told here
        snprintf(path, sizeof path, "%s/%s.words", w->folder, name);
        char *words = workshop_text(path);
        rf_fail(err, RF_CANNOT, "'%s' does not compile here: %.*s", source,
                words ? (int)strcspn(words, "\n") : 0, words ? words : "");
        free(words);
        return -1;
    }
    if (err->status != RF_NOT_FOUND) return -1;
    static const char *const places[] = {"../lib/refork", "."};
    int stem = (int)(strrchr(source, '.') - source);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "%s/%s/%.*s", w->refork, places[i], stem, source);
        if (access(path, X_OK) || !realpath(path, program)) continue;
        return 0;
    }
    struct rf_error why = *err;
    return rf_fail(err, RF_CANNOT, "%.400s; nor is the program itself installed, '%s/../lib/refork/%.*s'",
                   why.text, w->refork, stem, source);
}

char *workshop_text(const char *path) {
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t room = 0;
    if (!file) return NULL;
    if (getdelim(&text, &room, 0, file) < 0) { // text has no NUL in it
        free(text);
        text = ferror(file) ? NULL : strdup("");
    }
    fclose(file);
    return text;
}

// Without the comment at the head: what is said there is no part of the program.
static int copy_body(const char *from, const char *to) {
    char *text = workshop_text(from), *body = text;
    if (!text) return -1;
    while (!strncmp(body, "//", 2) || *body == '\n')
        body += strcspn(body, "\n") + (body[strcspn(body, "\n")] != 0);
    FILE *out = fopen(to, "we");
    int failed = out ? fputs(body, out) < 0 : -1;
    if (out) failed |= fclose(out);
    free(text);
    return failed ? -1 : 0;
}

char *workshop_difference(const struct workshop *w, const char *a, const char *b) {
    const char *const sides[] = {a, b};
    char from[2 * WORKSHOP_PATH], to[2][WORKSHOP_PATH + 16], words[WORKSHOP_PATH + 16];
    for (int i = 0; i < 2; i++) {
        snprintf(from, sizeof from, "%s/%s", w->root, sides[i]);
        snprintf(to[i], sizeof to[i], "%s/%s", w->folder, i ? "after.c" : "before.c");
        if (copy_body(from, to[i])) return NULL;
    }
    snprintf(words, sizeof words, "%s/difference", w->folder);
    const char *const argv[] = {"diff", "-U3", to[0], to[1], NULL};
    struct rf_error err;
    int status = run(argv, words, &err);
    char *text = status == 0 || status == 1 ? workshop_text(words) : NULL;
    // The two lines that name the files are of the workshop's own.
    for (int i = 0; text && i < 2 && *text; i++) {
        size_t len = strcspn(text, "\n");
        memmove(text, text + len + (text[len] != 0), strlen(text + len + (text[len] != 0)) + 1);
    }
    return text;
}

bool workshop_has_library(const struct workshop *w, const char *environment) {
    char words[WORKSHOP_PATH + 16];
    snprintf(words, sizeof words, "%s/library", w->folder);
    // The loader says that it ignores what it cannot preload, and goes on.
    const char *const argv[] = {"env", environment, "true", NULL};
    struct rf_error err;
    char *text = run(argv, words, &err) == 0 ? workshop_text(words) : NULL;
    bool good = text && !strstr(text, "cannot be preloaded");
    free(text);
    return good;
}
