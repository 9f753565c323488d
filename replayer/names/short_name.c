#include "replayer/names/short_name.h"

#include <stdbool.h>
#include <string.h>

static bool is_name(char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// The symbol of an operator function at `p` ("operator<<", "operator()"): its length, 0 when there is none.
static size_t operator_at(const char *name, const char *p) {
    static const char word[] = "operator";
    if (strncmp(p, word, sizeof word - 1) || (p > name && is_name(p[-1]))) return 0;
    size_t n = sizeof word - 1;
    if (is_name(p[n])) return 0;
    if (!strncmp(p + n, "()", 2)) return n + 2;
    return n + strspn(p + n, "<>=-!+*/%^&|~[]");
}

// "std::map<int, std::string>::find(int const&)" with its template arguments as <...>: whatever lies between the
// outermost brackets. A '<' that nothing closes stays.
static void drop_arguments(char *name) {
    char *to = name;
    int depth = 0;
    char *open = NULL;
    for (const char *p = name; *p;) {
        size_t n = depth ? 0 : operator_at(name, p);
        if (n) {
            memmove(to, p, n);
            to += n;
            p += n;
            continue;
        }
        if (*p == '<' && depth++ == 0) open = to + 1;
        bool closes = *p == '>' && depth > 0 && (p == name || p[-1] != '-') && --depth == 0;
        if (closes && to - open > 3) {
            memcpy(open, "...", 3);
            to = open + 3;
        }
        *to++ = *p++;
    }
    *to = 0;
}

// The last parentheses outside of all brackets; "(anonymous namespace)" and "operator()" are names.
static bool find_parameters(char *name, char **open, char **close) {
    int depth = 0;
    *open = *close = NULL;
    for (char *p = name; *p; p++) {
        size_t n = depth ? 0 : operator_at(name, p);
        if (n) {
            p += n - 1;
            continue;
        }
        if (*p == '<' || *p == '(') {
            if (depth++ == 0 && *p == '(' && strncmp(p, "(anonymous namespace)", 21)) {
                *open = p;
                *close = NULL;
            }
        }
        if ((*p == ')' || (*p == '>' && (p == name || p[-1] != '-'))) && depth > 0 && --depth == 0 &&
            *p == ')' && *open && !*close)
            *close = p;
    }
    return *open && *close;
}

static void drop_parameters(char *name) {
    char *open, *close;
    if (!find_parameters(name, &open, &close) || close - open < 5) return;
    memcpy(open + 1, "...", 3);
    memmove(open + 4, close, strlen(close) + 1);
}

// The word that ends before `end`, template arguments left out: "info" of "void app::Log::info<char [8], int>".
static bool last_word(const char *name, const char *end, const char **word, size_t *length) {
    int depth = 0;
    while (end > name && (depth || end[-1] == '>')) {
        depth += (end[-1] == '>') - (end[-1] == '<');
        end--;
    }
    *word = end;
    while (*word > name && (is_name((*word)[-1]) || (*word)[-1] == '~'))
        --*word;
    *length = (size_t)(end - *word);
    return *length;
}

bool same_function(const char *a, const char *b) {
    char *open, *close;
    const char *left, *right;
    size_t left_length, right_length;
    if (!strcmp(a, b)) return true;
    if (strstr(a, "operator") || strstr(b, "operator")) return false;
    const bool has = find_parameters((char *)a, &open, &close);
    if (has == find_parameters((char *)b, has ? &(char *){NULL} : &open, has ? &(char *){NULL} : &close))
        return false;
    const char *with = has ? a : b, *without = has ? b : a;
    return last_word(with, open, &left, &left_length) &&
           last_word(without, without + strlen(without), &right, &right_length) && right == without &&
           left_length == right_length && !strncmp(left, right, left_length);
}

// The versioned namespaces of libstdc++ and libc++, and what a typedef calls otherwise; these are without the former. ('>' '>' as
// demanglers before and after C++11 write it.)
static const struct {
    const char *is, *plain;
} known[] = {
    {"std::__cxx11::", "std::"},
    {"std::__1::", "std::"},
    {"std::basic_string<char, std::char_traits<char>, std::allocator<char> >", "std::string"},
    {"std::basic_string<char, std::char_traits<char>, std::allocator<char>>", "std::string"},
    {"std::basic_string_view<char, std::char_traits<char> >", "std::string_view"},
    {"std::basic_string_view<char, std::char_traits<char>>", "std::string_view"},
    {"std::basic_ostream<char, std::char_traits<char> >", "std::ostream"},
    {"std::basic_ostream<char, std::char_traits<char>>", "std::ostream"},
    {"std::basic_istream<char, std::char_traits<char> >", "std::istream"},
    {"std::basic_istream<char, std::char_traits<char>>", "std::istream"},
};

void plain_name(char *name) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t is = strlen(known[i].is), plain = strlen(known[i].plain);
        for (char *at = name; (at = strstr(at, known[i].is)); at += plain) {
            if (at > name && (is_name(at[-1]) || at[-1] == ':')) continue; // "other::std::"
            memcpy(at, known[i].plain, plain);
            memmove(at + plain, at + is, strlen(at + is) + 1);
        }
    }
}

static size_t columns_of(const char *name) {
    size_t n = 0;
    for (; *name; name++)
        n += ((unsigned char)*name & 0xc0) != 0x80; // each character of UTF-8 once
    return n;
}

void short_name(char *name, size_t columns) {
    plain_name(name);
    if (columns_of(name) > columns) drop_arguments(name);
    if (columns_of(name) > columns) drop_parameters(name);
}
