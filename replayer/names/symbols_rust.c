// Names of Rust's v0 mangling (RFC 2603), as far as paths need it: what it cannot read stays as it is. Generic
// arguments and the impl's own place are parsed and left out:
//   _RNvMNtNtCs1_3std4sync5mutexNtB2_5Mutex4lock  ->  std::sync::mutex::Mutex::lock
// And of the older one, which is C++'s with a hash at the end and escapes in the names (rustc's
// rustc_symbol_mangling/src/legacy.rs):
//   _ZN3std2rt10lang_start28_$u7b$$u7b$closure$u7d$$u7d$17h168e94e611939a97E  ->  std::rt::lang_start::{closure}
#include "replayer/names/symbols_rust.h"

#include "replayer/names/symbols_module.h"

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

// ---- the older one

static const struct {
    const char *escape, *text;
} escapes[] = {{"$SP$", "@"}, {"$BP$", "*"}, {"$RF$", "&"}, {"$LT$", "<"}, {"$GT$", ">"},
               {"$LP$", "("}, {"$RP$", ")"}, {"$C$", ","},  {"..", "::"}};

// How many characters of `name` stand for something else, which is written; 0: they are none.
static size_t escaped(struct parser *p, const char *name, size_t len) {
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        size_t n = strlen(escapes[i].escape);
        if (n > len || strncmp(name, escapes[i].escape, n)) continue;
        put(p, escapes[i].text, strlen(escapes[i].text));
        return n;
    }
    unsigned code;
    int n = 0;
    char text[16] = "";
    memcpy(text, name, len < sizeof text - 1 ? len : sizeof text - 1);
    if (sscanf(text, "$u%2x$%n", &code, &n) != 1 || !n || code < 0x20 || code > 0x7e) return 0;
    // {{closure}} is {closure} in the other mangling.
    char c = (char)code;
    if (!((c == '{' || c == '}') && p->used && p->out[p->used - 1] == c)) put(p, &c, 1);
    return (size_t)n;
}

static void old_name(struct parser *p, const char *name, size_t len) {
    if (len > 1 && name[0] == '_' && name[1] == '$') name++, len--;
    for (size_t at = 0; at < len && !p->failed;) {
        size_t n = escaped(p, name + at, len - at);
        if (!n) put(p, name + at, 1);
        at += n ? n : 1;
    }
}

static bool is_hash(const char *name, size_t len) {
    return len == 17 && name[0] == 'h' && strspn(name + 1, "0123456789abcdef") >= 16;
}

static void old_path(struct parser *p) {
    const char *before = NULL;
    size_t before_len = 0;
    while (!p->failed && !take(p, 'E')) {
        size_t len = 0;
        if (!isdigit((unsigned char)peek(p))) p->failed = true;
        while (isdigit((unsigned char)peek(p)) && len < OUT_MAX)
            len = len * 10 + (size_t)(p->text[p->at++] - '0');
        if (p->failed || !len || len > p->len - p->at) {
            p->failed = true;
            return;
        }
        if (before && p->used) put(p, "::", 2);
        if (before) old_name(p, before, before_len);
        before = p->text + p->at;
        before_len = len;
        p->at += len;
    }
    char next = p->text[p->at];
    if (!before || !is_hash(before, before_len) || (next && next != '.' && next != '@')) p->failed = true;
}

bool symbol_demangle_rust(const char *mangled, char *out, size_t size) {
    struct parser p = {0};
    bool old = !strncmp(mangled, "_ZN", 3);
    if (!old && strncmp(mangled, "_R", 2)) return false;
    p.text = mangled + (old ? 3 : 2);
    p.len = old ? strlen(p.text) : strcspn(p.text, ".@");
    if (old)
        old_path(&p);
    else
        path(&p);
    if (p.failed || !p.used || p.used >= size) return false;
    memcpy(out, p.out, p.used);
    out[p.used] = 0;
    return true;
}
