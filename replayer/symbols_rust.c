// Names of Rust's v0 mangling (RFC 2603), as far as paths need it: what it cannot read stays as it is. Generic
// arguments and the impl's own place are parsed and left out:
//   _RNvMNtNtCs1_3std4sync5mutexNtB2_5Mutex4lock  ->  std::sync::mutex::Mutex::lock
#include "replayer/symbols_module.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { OUT_MAX = 512, DEPTH_MAX = 64, STEPS_MAX = 4096 };

struct parser {
    const char *text; // behind "_R"
    size_t at, len;
    char out[OUT_MAX];
    size_t used;
    int quiet, depth, steps; // quiet: parses without writing
    bool failed;
};

static char peek(const struct parser *p) {
    return p->at < p->len ? p->text[p->at] : 0;
}

static bool take(struct parser *p, char c) {
    if (peek(p) != c) return false;
    p->at++;
    return true;
}

static void put(struct parser *p, const char *text, size_t len) {
    if (p->quiet || p->failed) return;
    if (p->used + len >= sizeof p->out) {
        p->failed = true;
        return;
    }
    memcpy(p->out + p->used, text, len);
    p->used += len;
}

// "_" is 0, "0_" 1, ... (A hash of a crate may be any 64 bits; a place that is out of range is refused by its user.)
static size_t base62(struct parser *p) {
    size_t value = 0;
    if (take(p, '_')) return 0;
    for (;;) {
        char c = peek(p);
        if (c == '_') break;
        int digit = isdigit((unsigned char)c)   ? c - '0'
                    : islower((unsigned char)c) ? c - 'a' + 10
                    : isupper((unsigned char)c) ? c - 'A' + 36
                                                : -1;
        if (digit < 0) {
            p->failed = true;
            return 0;
        }
        value = value * 62 + (size_t)digit;
        p->at++;
    }
    p->at++;
    return value + 1;
}

static void disambiguator(struct parser *p) {
    if (take(p, 's')) base62(p);
}

static void identifier(struct parser *p, bool separate) {
    size_t len = 0;
    if (take(p, 'u')) p->failed = true; // punycode
    if (!isdigit((unsigned char)peek(p))) {
        p->failed = true;
        return;
    }
    while (isdigit((unsigned char)peek(p)) && len < OUT_MAX)
        len = len * 10 + (size_t)(p->text[p->at++] - '0');
    take(p, '_');
    if (len > p->len - p->at) {
        p->failed = true;
        return;
    }
    if (separate && len) put(p, "::", 2);
    put(p, p->text + p->at, len);
    p->at += len;
}

static void path(struct parser *p);

static void back_reference(struct parser *p, void (*what)(struct parser *)) {
    size_t here = p->at - 1, target = base62(p), after = p->at;
    if (p->failed || target >= here) {
        p->failed = true;
        return;
    }
    p->at = target;
    what(p);
    p->at = after;
}

static void type(struct parser *p) {
    char c = peek(p);
    if (p->failed || ++p->steps > STEPS_MAX || ++p->depth > DEPTH_MAX) {
        p->failed = true;
        return;
    }
    if (c && strchr("CMXYNI", c)) {
        path(p);
    } else if (c == 'B') {
        p->at++;
        back_reference(p, type);
    } else if (islower((unsigned char)c)) { // i32, str, ...
        p->at++;
        put(p, "_", 1);
    } else if (c && strchr("RQ", c)) { // a reference, with a lifetime
        p->at++;
        if (take(p, 'L')) base62(p);
        type(p);
    } else if (c && strchr("POS", c)) {
        p->at++;
        type(p);
    } else if (c == 'T') {
        p->at++;
        while (!p->failed && !take(p, 'E'))
            type(p);
    } else {
        p->failed = true;
    }
    p->depth--;
}

static void arguments(struct parser *p) {
    p->quiet++;
    while (!p->failed && !take(p, 'E')) {
        if (take(p, 'L'))
            base62(p);
        else
            type(p);
    }
    p->quiet--;
}

static void quiet_path(struct parser *p) {
    p->quiet++;
    path(p);
    p->quiet--;
}

static void nested(struct parser *p) {
    char space = peek(p);
    p->at++;
    path(p);
    disambiguator(p);
    if (space == 'C') put(p, "::{closure}", strlen("::{closure}"));
    identifier(p, true);
}

static void path(struct parser *p) {
    if (p->failed || ++p->steps > STEPS_MAX || ++p->depth > DEPTH_MAX) {
        p->failed = true;
        return;
    }
    char kind = peek(p);
    p->at++;
    switch (kind) {
    case 'C': // a crate
        disambiguator(p);
        identifier(p, false);
        break;
    case 'N':
        nested(p);
        break;
    case 'M': // of an impl: where that is, and of what type
    case 'X': // and of what trait
        disambiguator(p);
        quiet_path(p);
        type(p);
        if (kind == 'X') quiet_path(p);
        break;
    case 'Y': // of a trait
        type(p);
        quiet_path(p);
        break;
    case 'I':
        path(p);
        arguments(p);
        break;
    case 'B':
        back_reference(p, path);
        break;
    default:
        p->failed = true;
    }
    p->depth--;
}

bool symbol_demangle_rust(const char *mangled, char *out, size_t size) {
    struct parser p = {0};
    if (strncmp(mangled, "_R", 2)) return false;
    p.text = mangled + 2;
    p.len = strcspn(p.text, ".@");
    path(&p);
    if (p.failed || !p.used || p.used >= size) return false;
    memcpy(out, p.out, p.used);
    out[p.used] = 0;
    return true;
}
