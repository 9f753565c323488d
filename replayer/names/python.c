// CPython's frames as they are in memory. Layouts: Include/internal/pycore_frame.h, pycore_interp.h, Include/cpython/code.h and
// pystate.h of the releases; nothing is taken for what it should be before the memory says so: a thread's state has its
// interpreter's address and the thread's id, a frame has a code object, a code object is of PyCode_Type and has texts.
#include "replayer/names/python.h"

#include "replayer/names/symbols_module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RUNTIME_WORDS = 512,      // of _PyRuntime that may lead to the interpreter
    INTERPRETER_WORDS = 4096, // of the interpreter that may lead to its threads
    STATE_WORDS = 64,
    THREADS_MAX = 4096,
    SCRIPT_MAX = 256, // frames
    TEXT_MAX = 512,
    LINES_MAX = 65536, // bytes of a line table
    STATE_NEXT = 8,
    STATE_INTERPRETER = 16,
};

static const struct layout {
    unsigned version; // 0x30b: 3.11
    // of the thread's state: what leads to the frame, over a word of a struct _PyCFrame or (-1) directly
    int state_frame, in_cframe;
    // of a frame
    int code, previous, instruction;
    int entry, entry_value; // a byte: its caller is C; else, when it has that value, it stands for C itself
    bool entry_is_frame;
    // of a code object
    int filename, qualname, line_table, first_line, bytecode;
    int ascii_data, wide_data; // of a text
} layouts[] = {
    {0x30b, 56, 8, 32, 48, 56, 68, 1, true, 112, 128, 136, 72, 184, 48, 72},
    {0x30c, 56, 0, 0, 8, 56, 70, 3, false, 112, 128, 136, 68, 192, 40, 56},
    {0x30d, 72, -1, 0, 8, 56, 70, 3, false, 112, 128, 136, 68, 200, 40, 56},
};

struct python {
    struct symbols *symbols;
    const struct view *view;
    const struct layout *layout;
    uint64_t code_type;
};

struct script_frame {
    const char *function, *file;
    int line;
    bool last; // of those that one call of the interpreter's loop runs
};

static bool read_bytes(const struct python *p, uint64_t at, void *out, size_t size) {
    return at > 4096 && p->view->read(p->view->context, at, out, size);
}

static uint64_t word_at(const struct python *p, uint64_t at) {
    uint64_t value = 0;
    return read_bytes(p, at, &value, sizeof value) ? value : 0;
}

// ---- texts

static size_t encode(char *out, uint32_t c) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | (c >> 18 & 7));
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

// A compact str: length at 16, bits at 32 (kind from bit 2, compact bit 5, ASCII bit 6).
static const char *text_at(const struct python *p, uint64_t at) {
    uint64_t length = word_at(p, at + 16);
    uint32_t bits = 0;
    uint8_t raw[TEXT_MAX * 4];
    char out[TEXT_MAX * 4 + 1];
    size_t used = 0;
    if (!length || length > TEXT_MAX || !read_bytes(p, at + 32, &bits, sizeof bits)) return NULL;
    // 3.12 made the interned bits one more in some releases: the kind says which it is by being one.
    unsigned kind = bits >> 2 & 7;
    bool compact = bits >> 5 & 1, ascii = bits >> 6 & 1;
    if (!compact || (kind != 1 && kind != 2 && kind != 4)) return NULL;
    uint64_t data = at + (uint64_t)(ascii ? p->layout->ascii_data : p->layout->wide_data);
    if (!read_bytes(p, data, raw, length * kind)) return NULL;
    for (size_t i = 0; i < length; i++) {
        uint32_t c = 0;
        memcpy(&c, raw + i * kind, kind);
        if (c < 32) return NULL;
        used += encode(out + used, c);
    }
    out[used] = 0;
    return symbols_keep(p->symbols, out);
}

// ---- lines

struct table {
    const uint8_t *bytes;
    size_t size, at;
};

static uint32_t varint(struct table *t) {
    uint32_t value = 0;
    for (unsigned shift = 0; t->at < t->size && shift < 30; shift += 6) {
        uint8_t b = t->bytes[t->at++];
        value |= (uint32_t)(b & 63) << shift;
        if (!(b & 64)) break;
    }
    return value;
}

static int signed_varint(struct table *t) {
    uint32_t value = varint(t);
    return value & 1 ? -(int)(value >> 1) : (int)(value >> 1);
}

// Objects/locations.md: entries of (1, code, length - 1), then what the code says.
static int line_in(struct table *t, int line, uint64_t unit) {
    enum { ONE_LINE_FIRST = 10, NO_COLUMNS = 13, LONG = 14, NONE = 15 };
    uint64_t begin = 0;
    while (t->at < t->size) {
        uint8_t head = t->bytes[t->at++];
        int code = head >> 3 & 15;
        uint64_t length = (head & 7) + 1u;
        if (!(head & 128)) return 0;
        if (code == LONG) {
            line += signed_varint(t);
            varint(t), varint(t), varint(t);
        } else if (code == NO_COLUMNS) {
            line += signed_varint(t);
        } else if (code >= ONE_LINE_FIRST && code < NO_COLUMNS) {
            line += code - ONE_LINE_FIRST;
            t->at += 2;
        } else if (code < ONE_LINE_FIRST) {
            t->at++;
        }
        if (unit >= begin && unit < begin + length) return code == NONE ? 0 : line;
        begin += length;
    }
    return 0;
}

static int line_of(const struct python *p, uint64_t code, uint64_t instruction) {
    const struct layout *l = p->layout;
    uint64_t start = code + (uint64_t)l->bytecode, table = word_at(p, code + (uint64_t)l->line_table),
             size = word_at(p, table + 16);
    int32_t first = 0;
    if (!read_bytes(p, code + (uint64_t)l->first_line, &first, sizeof first) || !size || size > LINES_MAX)
        return 0;
    uint64_t units = word_at(p, code + 16), unit = instruction < start ? 0 : (instruction - start) / 2;
    uint8_t *bytes = malloc(size);
    int line = 0;
    if (bytes && unit < units && read_bytes(p, table + 32, bytes, size)) {
        struct table t = {bytes, size, 0};
        line = line_in(&t, first, unit);
    }
    free(bytes);
    return line > 0 ? line : first;
}

// ---- frames

static size_t script_frames(const struct python *p, uint64_t frame, struct script_frame *out, size_t max) {
    const struct layout *l = p->layout;
    size_t n = 0;
    for (size_t hops = 0; frame && hops < 2 * SCRIPT_MAX && n < max; hops++) {
        uint8_t entry = 0;
        uint64_t code = word_at(p, frame + (uint64_t)l->code);
        if (!read_bytes(p, frame + (uint64_t)l->entry, &entry, 1)) break;
        if (!l->entry_is_frame && entry == l->entry_value) { // C called from here on
            if (n) out[n - 1].last = true;
            frame = word_at(p, frame + (uint64_t)l->previous);
            continue;
        }
        if (word_at(p, code + 8) != p->code_type) break;
        struct script_frame *f = &out[n];
        f->function = text_at(p, word_at(p, code + (uint64_t)l->qualname));
        f->file = text_at(p, word_at(p, code + (uint64_t)l->filename));
        f->line = line_of(p, code, word_at(p, frame + (uint64_t)l->instruction));
        f->last = l->entry_is_frame && entry == l->entry_value;
        if (!f->function || !f->file) break;
        n++;
        frame = word_at(p, frame + (uint64_t)l->previous);
    }
    if (n) out[n - 1].last = true;
    return n;
}

// ---- the thread's state

static uint64_t symbol_in(const struct symbol_module *m, const char *name, uint64_t bias) {
    for (size_t i = 0; i < m->symbol_count; i++)
        if (!strcmp(m->symbols[i].name, name)) return m->symbols[i].value + bias;
    return 0;
}

static bool is_of_thread(const struct python *p, uint64_t state, uint64_t thread) {
    uint64_t words[STATE_WORDS];
    if (!read_bytes(p, state, words, sizeof words)) return false;
    for (size_t i = 4; i < STATE_WORDS; i++)
        if (words[i] == thread) return true;
    return false;
}

static uint64_t state_in(const struct python *p, uint64_t interpreter, uint64_t thread) {
    uint64_t *words = malloc(INTERPRETER_WORDS * sizeof *words), found = 0, last = 0;
    size_t count = INTERPRETER_WORDS;
    while (words && count > 64 && !read_bytes(p, interpreter, words, count * sizeof *words))
        count /= 2;
    for (size_t i = 0; words && i < count && !found; i++) {
        uint64_t state = words[i];
        if (state % 8 || state == last || state < 4096 ||
            word_at(p, state + STATE_INTERPRETER) != interpreter)
            continue;
        last = state;
        for (size_t k = 0; state && k < THREADS_MAX && !found; k++) {
            if (word_at(p, state + STATE_INTERPRETER) != interpreter) break;
            if (is_of_thread(p, state, thread)) found = state;
            state = word_at(p, state + STATE_NEXT);
        }
    }
    free(words);
    return found;
}

static uint64_t state_of(const struct python *p, uint64_t runtime, uint64_t thread) {
    uint64_t words[RUNTIME_WORDS], last = 0;
    size_t count = RUNTIME_WORDS;
    while (count > 8 && !read_bytes(p, runtime, words, count * sizeof *words))
        count /= 2;
    for (size_t i = 0; i < count; i++) {
        uint64_t interpreter = words[i], state;
        if (interpreter % 8 || interpreter < 4096 || interpreter == last || interpreter == thread) continue;
        last = interpreter;
        if ((state = state_in(p, interpreter, thread))) return state;
    }
    return 0;
}

static const struct layout *layout_of(const struct python *p, const struct symbol_module *m, uint64_t bias) {
    uint64_t at = symbol_in(m, "Py_Version", bias);
    uint32_t version = at ? (uint32_t)word_at(p, at) : 0; // 0x030b02f0
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        if (layouts[i].version == version >> 16) return &layouts[i];
    return NULL;
}

// ---- into the stack

static bool is_interpreter(const struct frame *f) {
    return f->module && (!strncmp(f->module, "python3", 7) || !strncmp(f->module, "libpython3", 10));
}

static bool is_loop(const struct frame *f) {
    return f->function && !strcmp(f->function, "_PyEval_EvalFrameDefault") && !f->inlined;
}

static size_t merge(const struct frame *in, size_t n, const struct script_frame *script, size_t count,
                    struct frame *out, size_t max) {
    size_t written = 0, used = 0, last_loop = 0;
    bool any = false, named = false;
    for (size_t i = 0; i < n; i++)
        if (is_loop(&in[i])) last_loop = i;
    for (size_t i = 0; i < n && written < max; i++) {
        // What is in the loop's own code, with nothing inside, was the interpreter's business: its lock.
        bool first = !any && (!is_loop(&in[i]) || !named);
        bool keep = !is_interpreter(&in[i]) || (in[i].function && (first || i > last_loop));
        named |= is_interpreter(&in[i]) && in[i].function && !is_loop(&in[i]);
        if (keep) out[written++] = in[i];
        if (!is_loop(&in[i])) continue;
        any = true;
        while (used < count && written < max) {
            const struct script_frame *f = &script[used++];
            out[written] = in[i];
            out[written].function = (char *)f->function;
            out[written].file = (char *)f->file;
            out[written++].line = f->line;
            if (f->last) break;
        }
    }
    return written;
}

size_t python_frames(struct symbols *s, const struct view *v, uint64_t fs_base, struct frame *frames,
                     size_t n, size_t max) {
    size_t loop = 0;
    while (loop < n && !is_loop(&frames[loop]))
        loop++;
    if (loop == n || !fs_base) return n;
    uint64_t bias;
    struct symbol_module *m = symbols_module_at(s, v, frames[loop].pc - 1, &bias);
    struct python p = {.symbols = s, .view = v};
    if (!m || !(p.layout = layout_of(&p, m, bias))) return n;
    p.code_type = symbol_in(m, "PyCode_Type", bias);
    uint64_t runtime = symbol_in(m, "_PyRuntime", bias), state = runtime ? state_of(&p, runtime, fs_base) : 0;
    if (!state || !p.code_type) return n;
    uint64_t frame = word_at(&p, state + (uint64_t)p.layout->state_frame);
    if (p.layout->in_cframe >= 0) frame = word_at(&p, frame + (uint64_t)p.layout->in_cframe);
    struct script_frame *script = calloc(SCRIPT_MAX, sizeof *script);
    struct frame *out = calloc(max, sizeof *out);
    size_t count = script && out ? script_frames(&p, frame, script, SCRIPT_MAX) : 0;
    if (count) {
        n = merge(frames, n, script, count, out, max);
        memcpy(frames, out, n * sizeof *out);
    }
    free(out);
    free(script);
    return n;
}
