#include "replayer/names/python.h"

#include "replayer/names/symbols_module.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    RUNTIME_WORDS = 512,      // of _PyRuntime that may lead to the interpreter
    INTERPRETER_WORDS = 4096, // of the interpreter that may lead to its threads
    STATE_WORDS = 64,
    THREADS_MAX = 4096,
    TEXT_MAX = 512,
    LINES_MAX = 1 << 18, // bytes of a line table
    STATE_NEXT = 8,
    STATE_INTERPRETER = 16,
    OBJECT_TYPE = 8,
    TYPE_SIZE = 32,
    OBJECT_SIZE = 16, // of those of variable size
    BYTES_DATA = 32,
};

static const struct python_layout layouts[] = {
    {.version = 0x309,
     .lines = LINES_LNOTAB,
     .state_frame = 24,
     .cframe_frame = -1,
     .frame_code = 32,
     .frame_back = 24,
     .frame_globals = 48,
     .frame_instruction = 104,
     .frame_locals = 360,
     .boundary = -1,
     .code_filename = 104,
     .code_name = 112,
     .code_lines = 120,
     .code_first_line = 40,
     .code_bytecode = 48,
     .code_locals = 28,
     .code_local_names = 72,
     .ascii_data = 48,
     .wide_data = 72,
     .keys_header = 40,
     .type_keys = 864},
    {.version = 0x30a,
     .lines = LINES_PAIRS,
     .state_frame = 24,
     .cframe_frame = -1,
     .frame_code = 32,
     .frame_back = 24,
     .frame_globals = 48,
     .frame_instruction = 96,
     .frame_locals = 352,
     .boundary = -1,
     .code_filename = 104,
     .code_name = 112,
     .code_lines = 120,
     .code_first_line = 40,
     .code_bytecode = 48,
     .code_locals = 28,
     .code_local_names = 72,
     .ascii_data = 48,
     .wide_data = 72,
     .keys_header = 40,
     .type_keys = 872},
    {.version = 0x30b,
     .lines = LINES_LOCATIONS,
     .state_frame = 56,
     .cframe_frame = 8,
     .cframe_previous = 16,
     .frame_code = 32,
     .frame_back = 48,
     .frame_globals = 8,
     .frame_instruction = 56,
     .frame_locals = 72,
     .boundary = 68,
     .boundary_value = 1,
     .code_filename = 112,
     .code_name = 128,
     .code_lines = 136,
     .code_first_line = 72,
     .code_bytecode = 184,
     .code_locals = 76,
     .code_local_names = 96,
     .ascii_data = 48,
     .wide_data = 72,
     .keys_header = 32,
     .type_keys = 872},
    {.version = 0x30c,
     .lines = LINES_LOCATIONS,
     .state_frame = 56,
     .cframe_frame = 0,
     .cframe_previous = 8,
     .frame_code = 0,
     .frame_back = 8,
     .frame_globals = 24,
     .frame_instruction = 56,
     .frame_locals = 72,
     .boundary = 70,
     .boundary_value = 3,
     .code_filename = 112,
     .code_name = 128,
     .code_lines = 136,
     .code_first_line = 68,
     .code_bytecode = 192,
     .code_locals = 72,
     .code_local_names = 96,
     .ascii_data = 40,
     .wide_data = 56,
     .keys_header = 32,
     .type_keys = 880},
    {.version = 0x30d,
     .lines = LINES_LOCATIONS,
     .state_frame = 72,
     .cframe_frame = -1,
     .frame_code = 0,
     .frame_back = 8,
     .frame_globals = 24,
     .frame_instruction = 56,
     .frame_locals = 72,
     .boundary = 70,
     .boundary_value = 3,
     .code_filename = 112,
     .code_name = 128,
     .code_lines = 136,
     .code_first_line = 68,
     .code_bytecode = 200,
     .code_locals = 72,
     .code_local_names = 96,
     .ascii_data = 40,
     .wide_data = 56,
     .keys_header = 32,
     .type_keys = 880},
};

bool python_read(const struct python *p, uint64_t at, void *out, size_t size) {
    return at > 4096 && p->view->read(p->view->context, at, out, size);
}

uint64_t python_word(const struct python *p, uint64_t at) {
    uint64_t value = 0;
    return python_read(p, at, &value, sizeof value) ? value : 0;
}

static int32_t int_at(const struct python *p, uint64_t at) {
    int32_t value = 0;
    return python_read(p, at, &value, sizeof value) ? value : 0;
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

// A compact str: length at 16, bits at 32 (kind from bit 2: bytes of a character; compact bit 5, ASCII bit 6).
const char *python_text(const struct python *p, uint64_t object) {
    uint32_t bits = 0;
    uint8_t raw[TEXT_MAX * 4];
    char out[TEXT_MAX * 4 + 1];
    size_t used = 0;
    if (!object || python_word(p, object + OBJECT_TYPE) != p->text_type) return NULL;
    uint64_t length = python_word(p, object + 16);
    if (!length || length > TEXT_MAX || !python_read(p, object + 32, &bits, sizeof bits)) return NULL;
    unsigned kind = bits >> 2 & 7;
    bool compact = bits >> 5 & 1, ascii = bits >> 6 & 1;
    if (!compact || (kind != 1 && kind != 2 && kind != 4)) return NULL;
    uint64_t data = object + (uint64_t)(ascii ? p->layout->ascii_data : p->layout->wide_data);
    if (!python_read(p, data, raw, length * kind)) return NULL;
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

// Objects/locations.md (3.11): entries of (1, code, length - 1 in units of two bytes), then what the code says.
static int line_by_locations(struct table *t, int line, uint64_t offset) {
    enum { ONE_LINE_FIRST = 10, NO_COLUMNS = 13, LONG = 14, NONE = 15 };
    uint64_t begin = 0;
    while (t->at < t->size) {
        uint8_t head = t->bytes[t->at++];
        int code = head >> 3 & 15;
        uint64_t end = begin + 2 * ((head & 7) + 1u);
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
        if (offset >= begin && offset < end) return code == NONE ? 0 : line;
        begin = end;
    }
    return 0;
}

// Objects/lnotab_notes.txt. 3.10: (bytes, change of the line) from where the change holds, -128: no line. Up to 3.9: the
// change comes behind the bytes.
static int line_by_pairs(const struct table *t, int line, uint64_t offset, bool before) {
    uint64_t at = 0;
    for (size_t i = 0; i + 1 < t->size; i += 2) {
        int change = (int8_t)t->bytes[i + 1];
        if (before && change != -128) line += change;
        at += t->bytes[i];
        if (at > offset) return before && change == -128 ? 0 : line;
        if (!before) line += change;
    }
    return before ? 0 : line;
}

// Where in the byte code the frame is.
static uint64_t offset_of(const struct python *p, uint64_t frame, uint64_t code) {
    const struct python_layout *l = p->layout;
    if (l->lines == LINES_LOCATIONS) {
        uint64_t start = code + (uint64_t)l->code_bytecode;
        uint64_t instruction = python_word(p, frame + (uint64_t)l->frame_instruction);
        return instruction < start ? 0 : instruction - start; // none was run yet
    }
    int32_t last = int_at(p, frame + (uint64_t)l->frame_instruction);
    return last < 0 ? 0 : (uint64_t)last * (l->lines == LINES_PAIRS ? 2 : 1);
}

static int line_of(const struct python *p, uint64_t frame, uint64_t code) {
    const struct python_layout *l = p->layout;
    int first = int_at(p, code + (uint64_t)l->code_first_line), line = 0;
    uint64_t table = python_word(p, code + (uint64_t)l->code_lines),
             size = python_word(p, table + OBJECT_SIZE);
    if (!table || !size || size > LINES_MAX) return first;
    uint8_t *bytes = malloc(size);
    if (bytes && python_read(p, table + BYTES_DATA, bytes, size)) {
        struct table t = {bytes, size, 0};
        uint64_t offset = offset_of(p, frame, code);
        line = l->lines == LINES_LOCATIONS ? line_by_locations(&t, first, offset)
                                           : line_by_pairs(&t, first, offset, l->lines == LINES_PAIRS);
    }
    free(bytes);
    return line > 0 ? line : first;
}

// ---- frames

// Does the frame stand for a call of the loop from C, and no function's? (3.12)
static bool is_entry(const struct python *p, uint64_t frame) {
    const struct python_layout *l = p->layout;
    uint8_t owner = 0;
    return l->boundary_value > 1 && python_read(p, frame + (uint64_t)l->boundary, &owner, 1) &&
           owner == l->boundary_value;
}

static uint64_t of_a_function(const struct python *p, uint64_t frame) {
    for (int i = 0; frame && is_entry(p, frame); i++)
        frame = i < 1000 ? python_word(p, frame + (uint64_t)p->layout->frame_back) : 0;
    return frame;
}

uint64_t python_frame_back(const struct python *p, uint64_t frame) {
    return of_a_function(p, python_word(p, frame + (uint64_t)p->layout->frame_back));
}

bool python_call(const struct python *p, uint64_t frame, struct script_call *out) {
    uint64_t code = frame ? python_word(p, frame + (uint64_t)p->layout->frame_code) : 0;
    if (!code || python_word(p, code + OBJECT_TYPE) != p->code_type) return false;
    *out = (struct script_call){
        .function = python_text(p, python_word(p, code + (uint64_t)p->layout->code_name)),
        .file = python_text(p, python_word(p, code + (uint64_t)p->layout->code_filename)),
        .line = line_of(p, frame, code)};
    return out->function && out->file;
}

uint64_t python_frame(const struct python *p) {
    const struct python_layout *l = p->layout;
    uint64_t frame = python_word(p, p->state + (uint64_t)l->state_frame);
    if (l->cframe_frame >= 0 && frame) frame = python_word(p, frame + (uint64_t)l->cframe_frame);
    return of_a_function(p, frame);
}

// ---- the thread's state

static bool is_data(const struct python *p, uint64_t at) {
    const struct view_map *map = at % 8 ? NULL : view_find(p->view, at);
    return map && (map->prot & PROT_WRITE);
}

static bool is_of_thread(const struct python *p, uint64_t state, uint64_t thread) {
    uint64_t words[STATE_WORDS];
    if (!python_read(p, state, words, sizeof words)) return false;
    for (size_t i = 4; i < STATE_WORDS; i++)
        if (words[i] == thread) return true;
    return false;
}

static uint64_t state_in(const struct python *p, uint64_t interpreter, uint64_t thread) {
    uint64_t *words = malloc(INTERPRETER_WORDS * sizeof *words), found = 0, last = 0;
    size_t count = INTERPRETER_WORDS;
    while (words && count > 64 && !python_read(p, interpreter, words, count * sizeof *words))
        count /= 2;
    for (size_t i = 0; words && count > 64 && i < count && !found; i++) {
        uint64_t state = words[i];
        if (state == last || !is_data(p, state)) continue;
        last = state;
        for (size_t k = 0; state && k < THREADS_MAX && !found; k++) {
            if (python_word(p, state + STATE_INTERPRETER) != interpreter) break;
            if (is_of_thread(p, state, thread)) found = state;
            state = python_word(p, state + STATE_NEXT);
        }
    }
    free(words);
    return found;
}

static uint64_t state_of(const struct python *p, uint64_t runtime, uint64_t thread) {
    uint64_t words[RUNTIME_WORDS], last = 0;
    size_t count = RUNTIME_WORDS;
    while (count > 8 && !python_read(p, runtime, words, count * sizeof *words))
        count /= 2;
    for (size_t i = 0; count > 8 && i < count; i++) {
        uint64_t interpreter = words[i], state;
        if (interpreter == last || interpreter == thread || !is_data(p, interpreter)) continue;
        last = interpreter;
        if ((state = state_in(p, interpreter, thread))) return state;
    }
    return 0;
}

// ---- the interpreter

static uint64_t symbol_in(const struct python *p, const char *name) {
    const size_t length = strlen(name);
    for (size_t i = 0; i < p->module->symbol_count; i++) {
        const char *s = p->module->symbols[i].name;
        if (!strncmp(s, name, length) && (!s[length] || s[length] == '@'))
            return p->module->symbols[i].value + p->bias;
    }
    return 0;
}

bool python_is_loop(const struct frame *f) {
    return f->function && !f->inlined && !strcmp(f->function, "_PyEval_EvalFrameDefault");
}

// Types say how large their objects are: a code object up to its byte code (3.11), a frame with the first of its locals.
static bool fits(const struct python *p, unsigned version) {
    const struct python_layout *l = p->layout;
    if (l->lines == LINES_LOCATIONS)
        return l->version == version &&
               python_word(p, p->code_type + TYPE_SIZE) == (uint64_t)l->code_bytecode;
    uint64_t frame_type = version ? 0 : symbol_in(p, "PyFrame_Type");
    return frame_type && python_word(p, frame_type + TYPE_SIZE) == (uint64_t)l->frame_locals + 8;
}

bool python_open(struct python *p, struct symbols *s, const struct view *v, uint64_t pc, uint64_t fs_base) {
    *p = (struct python){.symbols = s, .view = v};
    p->module = symbols_module_at(s, v, pc, &p->bias);
    if (!p->module || !fs_base) return false;
    uint64_t version = symbol_in(p, "Py_Version"),
             runtime = symbol_in(p, "_PyRuntime"); // 3.11 on: 0x030b02f0
    p->code_type = symbol_in(p, "PyCode_Type");
    p->text_type = symbol_in(p, "PyUnicode_Type");
    p->dict_type = symbol_in(p, "PyDict_Type");
    p->tuple_type = symbol_in(p, "PyTuple_Type");
    p->list_type = symbol_in(p, "PyList_Type");
    p->cell_type = symbol_in(p, "PyCell_Type");
    if (!runtime || !p->code_type || !p->text_type) return false;
    const unsigned is = version ? (uint32_t)python_word(p, version) >> 16 : 0;
    p->state = state_of(p, runtime, fs_base);
    for (size_t i = 0; p->state && i < sizeof layouts / sizeof *layouts; i++) {
        p->layout = &layouts[i];
        if (fits(p, is)) return true;
    }
    return false;
}
