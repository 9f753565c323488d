#include "search/healthy.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIGNALS = sizeof((struct healthy *)0)->signal };

static int signal_of(const char *name) {
    if (strncmp(name, "SIG", 3) != 0) return 0;
    for (int i = 1; i < SIGNALS; i++) {
        const char *known = sigabbrev_np(i);
        if (known && !strcmp(name + 3, known)) return i;
    }
    return 0;
}

static bool status_of(const char *text, char **end, int *out) {
    if (*text < '0' || *text > '9') return false;
    unsigned long n = strtoul(text, end, 10);
    *out = (int)n;
    return n <= 255;
}

static bool add(const char *word, struct healthy *out) {
    int signal = signal_of(word), first, last;
    char *end;
    if (signal) {
        out->signal[signal] = true;
        return true;
    }
    if (!status_of(word, &end, &first)) return false;
    last = first;
    if (*end == '-' && !status_of(end + 1, &end, &last)) return false;
    if (*end || last < first) return false;
    for (int i = first; i <= last; i++)
        out->status[i] = true;
    return true;
}

int healthy_parse(const char *text, const char *option, struct healthy *out, struct rf_error *err) {
    *out = (struct healthy){.given = true};
    for (const char *p = text;;) {
        char word[32];
        size_t len = strcspn(p, ",");
        snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1), p);
        if (len >= sizeof word || !add(word, out))
            return rf_fail(err, RF_CANNOT,
                           "bad value '%s' of '--%s': '%s' is no exit status (0 to 255), range or signal; "
                           "give a list such as 0,3,10-12,SIGTERM",
                           text, option, word);
        if (!p[len]) return 0;
        p += len + 1;
    }
}

bool healthy_is(const struct healthy *h, bool signaled, int status) {
    if (!h->given) return true;
    if (signaled) return status > 0 && status < SIGNALS && h->signal[status];
    return h->status[status & 255];
}

void healthy_name(bool signaled, int status, char *out, size_t size) {
    const char *name = signaled ? sigabbrev_np(status) : NULL;
    if (name)
        snprintf(out, size, "signal %d (SIG%s)", status, name);
    else
        snprintf(out, size, "%s %d", signaled ? "signal" : "exit status", status);
}
