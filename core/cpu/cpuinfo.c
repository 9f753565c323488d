#include "core/cpu/cpuinfo.h"

#include <string.h>

static const struct {
    uint8_t word, bit;
    const char *name;
} features[] = {
#define FEATURE(word, bit, name, who) {word, bit, name},
#include "core/cpu/features.def"
#undef FEATURE
};

// Where the kernel's word is another one than that of the makers' books, but for the points and underscores in it.
static const char *const words[][2] = {
    {"pni", "sse3"},         {"sha_ni", "sha"}, {"lahf_lm", "lahf"},
    {"abm", "lzcnt"},        {"ospke", "pku"},  {"3dnowprefetch", "prefetchw"},
    {"user_shstk", "shstk"},
};

static bool same(const char *word, size_t length, const char *name) {
    size_t i = 0;
    for (;; i++, name++) {
        while (i < length && word[i] == '_')
            i++;
        while (*name == '_' || *name == '.')
            name++;
        if (i >= length || !*name) return i >= length && !*name;
        if (word[i] != *name) return false;
    }
}

bool cpuinfo_shows(const struct cpu_features *shown, const char *word, size_t length) {
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i][0]) == length && !memcmp(words[i][0], word, length)) {
            word = words[i][1];
            length = strlen(word);
            break;
        }
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        if (same(word, length, features[i].name)) return shown->word[features[i].word] >> features[i].bit & 1;
    return true;
}
