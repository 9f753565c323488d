#include "core/config.h"

#include "core/guard.h"

#include <ctype.h>
#include <fcntl.h>
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
        strcpy(keys[i].to, value);
        return 0;
    }
    return rf_fail(err, RF_CANNOT, "'%s', line %d: no setting '%.60s': there are engine, rr and rr-options",
                   path, line, key);
}

int config_read(struct config *out, struct rf_error *err) {
    char path[4096], text[1024];
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
    if (fd < 0) return 0;
    scoped_file FILE *f = fdopen(fd, "r");
    if (!f || fstat(fd, &st) < 0) return rf_fail_errno(err, RF_CANNOT, "cannot read '%s'", path);
    if (!S_ISREG(st.st_mode))
        return rf_fail(err, RF_CANNOT, "'%s' is not a regular file: move it away, or put the settings there",
                       path);
    for (int line = 1; fgets(text, sizeof text, f); line++) {
        char *key = trim(text), *value = strchr(key, '=');
        if (!*key || *key == '#') continue;
        if (!value)
            return rf_fail(err, RF_CANNOT, "'%s', line %d: '%.60s' is no 'key = value'", path, line, key);
        *value++ = 0;
        if (set(out, path, line, trim(key), trim(value), err)) return -1;
    }
    return 0;
}
