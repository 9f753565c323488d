#include "replayer/gdb/registers.h"

#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum where { USER, FX, FX16, FXTAG, YMM };

// The x87 tags in FXSAVE are a bit a register (0: empty); gdb wants two bits as FSAVE has them: 0 valid, 1 zero,
// 2 special, 3 empty (Intel SDM vol. 1, 10.5.1.1).
enum { TAG_VALID, TAG_ZERO, TAG_SPECIAL, TAG_EMPTY };
enum { XSTATE_YMM = 576, FX_BYTES = 512 };

static const struct {
    const char *feature; // a new one begins; else NULL
    const char *name, *type;
    int bits;
    enum where where;
    size_t offset;
} rows[] = {
#define FEATURE(text)                   {.feature = text},
#define REGISTER(name, bits, type, ...) {NULL, #name, type, bits, __VA_ARGS__},
#include "replayer/gdb/registers.def"
#undef FEATURE
#undef REGISTER
};

enum { ROWS = sizeof rows / sizeof *rows };

static int row_of(int number) {
    for (int i = 0; i < ROWS; i++)
        if (!rows[i].feature && number-- == 0) return i;
    return -1;
}

int registers_count(void) {
    int n = 0;
    for (int i = 0; i < ROWS; i++)
        n += !rows[i].feature;
    return n;
}

size_t registers_size(int number) {
    int i = row_of(number);
    return i < 0 ? 0 : (size_t)rows[i].bits / 8;
}

static uint16_t full_tags(const uint8_t *fx) {
    int top = fx[3] >> 3 & 7;
    uint16_t tags = 0;
    for (int physical = 0; physical < 8; physical++) {
        const uint8_t *st = fx + 32 + 16 * ((physical - top) & 7);
        int tag = TAG_EMPTY;
        if (fx[4] & 1 << physical) {
            int exponent = (st[9] & 0x7f) << 8 | st[8];
            uint64_t fraction;
            memcpy(&fraction, st, sizeof fraction);
            tag = exponent == 0x7fff || (exponent && !(fraction >> 63)) ? TAG_SPECIAL
                  : exponent                                            ? TAG_VALID
                  : fraction                                            ? TAG_SPECIAL
                                                                        : TAG_ZERO;
        }
        tags = (uint16_t)(tags | tag << 2 * physical);
    }
    return tags;
}

// Where the bytes of a row lie; NULL: not in this file.
static uint8_t *bytes_of(const struct register_file *f, int i, size_t size) {
    size_t offset = rows[i].offset;
    if (rows[i].where == USER) return (uint8_t *)&f->user + offset;
    if (rows[i].where == YMM) offset += XSTATE_YMM;
    return f->xstate && offset + size <= f->xstate_size ? f->xstate + offset : NULL;
}

size_t registers_get(const struct register_file *f, int number, uint8_t out[REGISTER_BYTES]) {
    int i = row_of(number);
    if (i < 0) return 0;
    size_t size = (size_t)rows[i].bits / 8,
           stored = rows[i].where == FX16 || rows[i].where == FXTAG ? 2 : size;
    memset(out, 0, REGISTER_BYTES);
    const uint8_t *from = bytes_of(f, i, stored);
    if (!from) return size; // a machine without AVX: zeros
    memcpy(out, from, stored);
    if (rows[i].where == FXTAG) {
        uint16_t tags = f->xstate_size >= FX_BYTES ? full_tags(f->xstate) : 0xffff;
        memcpy(out, &tags, sizeof tags);
    }
    return size;
}

bool registers_set(struct register_file *f, int number, const uint8_t *bytes, size_t len) {
    int i = row_of(number);
    if (i < 0 || len < (size_t)rows[i].bits / 8) return false;
    size_t stored = rows[i].where == FX16 || rows[i].where == FXTAG ? 2 : (size_t)rows[i].bits / 8;
    uint8_t *to = bytes_of(f, i, stored);
    if (!to) return rows[i].where == YMM; // none there: only zeros were shown
    if (rows[i].where == FXTAG) {
        for (int physical = 0; physical < 8; physical++) {
            int tag = (bytes[physical / 4] >> 2 * (physical % 4)) & 3;
            *to = (uint8_t)((*to & ~(1 << physical)) | (tag != TAG_EMPTY) << physical);
        }
        return true;
    }
    memcpy(to, bytes, stored);
    // XSTATE_BV says which parts are not in their initial state (Intel SDM vol. 1, 13.4.2): x87 1, SSE 2, AVX 4.
    if (rows[i].where != USER && f->xstate_size > FX_BYTES)
        f->xstate[FX_BYTES] |= rows[i].where == YMM ? 7 : 3;
    return true;
}

// A status register's bits by name (Intel SDM vol. 1, figures 3-8 and 10-3).
struct bit {
    const char *name;
    int at;
};
static const struct bit eflags_bits[] = {{"CF", 0},  {"PF", 2},  {"AF", 4},  {"ZF", 6},   {"SF", 7},
                                         {"TF", 8},  {"IF", 9},  {"DF", 10}, {"OF", 11},  {"NT", 14},
                                         {"RF", 16}, {"VM", 17}, {"AC", 18}, {"VIF", 19}, {"VIP", 20},
                                         {"ID", 21}, {0}};
static const struct bit mxcsr_bits[] = {{"IE", 0},  {"DE", 1},  {"ZE", 2},  {"OE", 3},  {"UE", 4},
                                        {"PE", 5},  {"DAZ", 6}, {"IM", 7},  {"DM", 8},  {"ZM", 9},
                                        {"OM", 10}, {"UM", 11}, {"PM", 12}, {"FZ", 15}, {0}};

static void describe_flags(FILE *out, const char *id, const struct bit *bits) {
    fprintf(out, "<flags id=\"%s\" size=\"4\">", id);
    for (; bits->name; bits++)
        fprintf(out, "<field name=\"%s\" start=\"%d\" end=\"%d\"/>", bits->name, bits->at, bits->at);
    fputs("</flags>", out);
}

const char *registers_description(void) {
    static char *text; // of the tables above, the same for every replay
    size_t size;
    if (text) return text;
    FILE *out = open_memstream(&text, &size);
    rf_assert(out);
    fputs("<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
          "<architecture>i386:x86-64</architecture><osabi>GNU/Linux</osabi>",
          out);
    for (int i = 0, number = 0; i < ROWS; i++) {
        if (rows[i].feature) {
            fprintf(out, "%s<feature name=\"%s\">", i ? "</feature>" : "", rows[i].feature);
            if (strstr(rows[i].feature, "core")) describe_flags(out, "i386_eflags", eflags_bits);
            if (strstr(rows[i].feature, "sse")) {
                describe_flags(out, "i386_mxcsr", mxcsr_bits);
                fputs("<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
                      "<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
                      "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"
                      "<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
                      "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"
                      "<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
                      "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/>"
                      "<field name=\"v2_double\" type=\"v2d\"/><field name=\"v16_int8\" type=\"v16i8\"/>"
                      "<field name=\"v8_int16\" type=\"v8i16\"/><field name=\"v4_int32\" type=\"v4i32\"/>"
                      "<field name=\"v2_int64\" type=\"v2i64\"/><field name=\"uint128\" "
                      "type=\"uint128\"/></union>",
                      out);
            }
            continue;
        }
        fprintf(out, "<reg name=\"%s\" bitsize=\"%d\" type=\"%s\" regnum=\"%d\"/>", rows[i].name,
                rows[i].bits, rows[i].type, number++);
    }
    fputs("</feature></target>", out);
    fclose(out);
    return text;
}
