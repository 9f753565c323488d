#include "tui/export/markup.h"

#include "core/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd"; // U+FFFD

// Decodes one character of UTF-8: its length, 0 when there is none.
static size_t decode(const unsigned char *p, uint32_t *out) {
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } forms[] = {{0x80, 0, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    for (size_t n = 0; n < 4; n++) {
        if ((*p & forms[n].mask) != forms[n].lead) continue;
        uint32_t c = *p & (unsigned char)~forms[n].mask;
        for (size_t i = 1; i <= n; i++) {
            if ((p[i] & 0xc0) != 0x80) return 0;
            c = c << 6 | (p[i] & 0x3f);
        }
        *out = c;
        return c >= forms[n].least ? n + 1 : 0;
    }
    return 0;
}

static bool is_bidi(uint32_t c) {
    return c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

static bool shown(uint32_t c) {
    if (c < ' ' || (c >= 0x7f && c < 0xa0)) return false;
    if ((c >= 0xd800 && c < 0xe000) || c > 0x10ffff || (c & 0xfffe) == 0xfffe) return false;
    return !is_bidi(c) && c != 0x2028 && c != 0x2029;
}

static const char *entity(unsigned char c) {
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void markup_text(FILE *out, const char *text, size_t max) {
    const unsigned char *p = (const unsigned char *)text;
    const unsigned char *begin = p;
    while (*p) {
        uint32_t c = 0;
        size_t n = decode(p, &c);
        if ((size_t)(p - begin) + (n ? n : 1) > max) {
            fputs("\xe2\x80\xa6", out); // an ellipsis
            return;
        }
        if (c == '\t' || c == '\n')
            fputc(' ', out);
        else if (!n || !shown(c))
            fputs(replacement, out);
        else if (entity(*p))
            fputs(entity(*p), out);
        else
            fwrite(p, 1, n, out);
        p += n ? n : 1;
    }
}

// One conversion other than %s: `spec` is its text, up to its letter.
static void number(FILE *out, const char *spec, va_list *ap) {
    char letter = spec[strlen(spec) - 1];
    bool l = strchr(spec, 'l') != NULL, z = strchr(spec, 'z') != NULL;
    bool ll = strstr(spec, "ll") != NULL;
    switch (letter) {
    case 'c':
    case 'd':
        if (ll)
            fprintf(out, spec, va_arg(*ap, long long));
        else if (l)
            fprintf(out, spec, va_arg(*ap, long));
        else
            fprintf(out, spec, va_arg(*ap, int));
        return;
    case 'u':
    case 'x':
        if (ll)
            fprintf(out, spec, va_arg(*ap, unsigned long long));
        else if (l)
            fprintf(out, spec, va_arg(*ap, unsigned long));
        else if (z)
            fprintf(out, spec, va_arg(*ap, size_t));
        else
            fprintf(out, spec, va_arg(*ap, unsigned));
        return;
    case '%':
        fputc('%', out);
        return;
    default:
        rf_assert(!"a conversion that markup() does not know");
    }
}

void markup(FILE *out, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    for (const char *p = format; *p;) {
        size_t plain = strcspn(p, "%");
        fwrite(p, 1, plain, out);
        p += plain;
        if (!*p) break;
        char spec[16];
        size_t n = 1 + strspn(p + 1, "0123456789.lz-") + 1;
        rf_assert(n < sizeof spec);
        memcpy(spec, p, n);
        spec[n] = 0;
        p += n;
        if (spec[n - 1] != 's') {
            number(out, spec, &ap);
            continue;
        }
        unsigned most = 0;
        const char *text = va_arg(ap, const char *);
        bool cut = sscanf(spec, "%%.%us", &most) == 1;
        markup_text(out, text ? text : "", cut ? most : SIZE_MAX);
    }
    va_end(ap);
}
