#include "replayer/names/symbols_strings.h"

#include "replayer/names/short_name.h"
#include "replayer/names/symbols_module.h"
#include "replayer/names/symbols_rust.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

// libstdc++'s. A static refork has it linked in. Else it is loaded when the first C++ name is to be written: its relocations are
// a quarter of what refork's start takes, and most recordings and replays write no such name.
typedef char *demangler(const char *mangled, char *buffer, size_t *length, int *status);
extern demangler __cxa_demangle __attribute__((weak));

static demangler *loaded;

static void load_demangler(void) {
    void *library = __cxa_demangle ? NULL : dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_LOCAL);
    loaded = library ? (demangler *)dlsym(library, "__cxa_demangle") : __cxa_demangle;
}

// The text is to be freed. NULL: it is no such name, or there is no libstdc++ here.
static char *demangle(const char *name) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int status;
    pthread_once(&once, load_demangler);
    return loaded ? loaded(name, NULL, NULL, &status) : NULL;
}

// Open addressing; the texts are single allocations, since callers keep pointers to them.
struct strings {
    char **slots;
    size_t count, capacity; // capacity: a power of two
};

struct strings *strings_new(void) {
    struct strings *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->capacity = 256;
    p->slots = calloc(p->capacity, sizeof *p->slots);
    if (!p->slots) {
        free(p);
        return NULL;
    }
    return p;
}

void strings_free(struct strings *p) {
    if (!p) return;
    for (size_t i = 0; i < p->capacity; i++)
        free(p->slots[i]);
    free(p->slots);
    free(p);
}

static char **find_slot(char **slots, size_t capacity, const char *text) {
    size_t i = XXH3_64bits(text, strlen(text)) & (capacity - 1);
    while (slots[i] && strcmp(slots[i], text))
        i = (i + 1) & (capacity - 1);
    return &slots[i];
}

static bool grow(struct strings *p) {
    size_t capacity = p->capacity * 2;
    char **slots = calloc(capacity, sizeof *slots);
    if (!slots) return false;
    for (size_t i = 0; i < p->capacity; i++)
        if (p->slots[i]) *find_slot(slots, capacity, p->slots[i]) = p->slots[i];
    free(p->slots);
    p->slots = slots;
    p->capacity = capacity;
    return true;
}

const char *strings_add(struct strings *p, const char *text) {
    if (!text) return NULL;
    if (p->count * 2 >= p->capacity && !grow(p)) return NULL;
    char **slot = find_slot(p->slots, p->capacity, text);
    if (!*slot) {
        *slot = strdup(text);
        if (*slot) p->count++;
    }
    return *slot;
}

// "write_log.constprop.0.cold" is write_log; "once.3" is a static local; "memcpy@@GLIBC_2.14" has a version.
static void strip_suffixes(char *name) {
    char *version = strchr(name, '@');
    if (version && version != name) *version = 0;
    static const char *const clones[] = {".cold",  ".part.",     ".constprop.",
                                         ".isra.", ".lto_priv.", ".localalias"};
    for (size_t i = 0; i < sizeof clones / sizeof *clones; i++) {
        char *at = strstr(name, clones[i]);
        if (at && at != name) *at = 0;
    }
    char *dot = strrchr(name, '.');
    if (dot && dot != name && dot[1] && strspn(dot + 1, "0123456789") == strlen(dot + 1)) *dot = 0;
}

const char *symbol_readable(struct strings *strings, const char *name) {
    if (!name || !*name) return NULL;
    char *copy = strdup(name);
    if (!copy) return NULL;
    strip_suffixes(copy);
    char rust[512];
    char *demangled = copy[0] == '_' && copy[1] == 'Z' ? demangle(copy) : NULL;
    plain_name(demangled ? demangled : copy); // debug information has template arguments in plain names, too
    const char *result = symbol_demangle_rust(copy, rust, sizeof rust)
                             ? strings_add(strings, rust)
                             : strings_add(strings, demangled ? demangled : copy);
    free(demangled);
    free(copy);
    return result;
}
