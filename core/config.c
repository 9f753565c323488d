#include "core/config.h"

#include "core/guard.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char *trim(char *text) {
    while (isspace((unsigned char)*text))
        text++;
    size_t len = strlen(text);
    while (len && isspace((unsigned char)text[len - 1]))
        text[--len] = 0;
    return text;
}

static bool is_engine(const char *name) {
    return !strcmp(name, "refork") || !strcmp(name, "rr") || !strcmp(name, "auto");
}

static int set(struct config *c, const char *path, int line, const char *key, const char *value,
               struct rf_error *err) {
    const struct {
        const char *key;
        char *to;
        size_t size;
    } keys[] = {
        {"engine", c->engine, sizeof c->engine},
        {"rr", c->rr, sizeof c->rr},
        {"rr-options", c->rr_options, sizeof c->rr_options},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(key, keys[i].key)) continue;
        if (strlen(value) >= keys[i].size)
            return rf_fail(err, RF_CANNOT, "'%s', line %d: the value of '%s' is too long", path, line, key);
        if (keys[i].to == c->engine && !is_engine(value))
            return rf_fail(err, RF_CANNOT, "'%s', line %d: no engine '%.40s': there are refork, rr and auto",
                           path, line, value);
        strcpy(keys[i].to, value);
        return 0;
    }
    return rf_fail(err, RF_CANNOT, "'%s', line %d: no setting '%.60s': there are engine, rr and rr-options",
                   path, line, key);
}

// Settings that are there and cannot be read are no settings that are not there. HOME may be another user's, though, as behind
// `su` without `-`: when not even the folder can be looked at, nobody said that there is a file.
static int without_file(const char *path, struct rf_error *err) {
    int why = errno;
    char folder[4096];
    struct stat st;
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    if (why == ENOENT || why == ENOTDIR || stat(folder, &st) < 0) return 0;
    return rf_fail(err, RF_CANNOT,
                   "cannot read '%s': %s; make it readable, or let XDG_CONFIG_HOME name another folder", path,
                   strerror(why));
}

static int read_lines(FILE *f, const char *path, struct config *out, struct rf_error *err) {
    scoped_free char *text = NULL;
    size_t size = 0;
    ssize_t len;
    for (int line = 1; (len = getline(&text, &size, f)) >= 0; line++) {
        if (strlen(text) != (size_t)len)
            return rf_fail(err, RF_CANNOT, "'%s', line %d: a zero byte: settings are lines 'key = value'",
                           path, line);
        char *key = trim(text), *value = strchr(key, '=');
        if (!*key || *key == '#') continue;
        if (!value)
            return rf_fail(err, RF_CANNOT, "'%s', line %d: '%.60s' is no 'key = value'", path, line, key);
        *value++ = 0;
        if (set(out, path, line, trim(key), trim(value), err)) return -1;
    }
    return ferror(f) ? rf_fail_errno(err, RF_CANNOT, "cannot read '%s'", path) : 0;
}

int config_read(struct config *out, struct rf_error *err) {
    char path[4096];
    const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    *out = (struct config){0};
    if (base && *base == '/')
        snprintf(path, sizeof path, "%s/refork/config", base);
    else if (home && *home == '/')
        snprintf(path, sizeof path, "%s/.config/refork/config", home);
    else
        return 0;
    // Not to wait for the other end of a FIFO.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0) return without_file(path, err);
    scoped_file FILE *f = fdopen(fd, "r");
    if (!f || fstat(fd, &st) < 0) return rf_fail_errno(err, RF_CANNOT, "cannot read '%s'", path);
    if (!S_ISREG(st.st_mode))
        return rf_fail(err, RF_CANNOT, "'%s' is not a regular file: move it away, or put the settings there",
                       path);
    return read_lines(f, path, out, err);
}
