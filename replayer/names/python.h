// What a CPython interpreter (3.9 to 3.13) has in memory, as the layouts of the releases say; each read is checked.
#ifndef REFORK_REPLAYER_NAMES_PYTHON_H
#define REFORK_REPLAYER_NAMES_PYTHON_H

#include "replayer/names/symbols.h"

enum python_lines { LINES_LNOTAB, LINES_PAIRS, LINES_LOCATIONS }; // 3.9; 3.10; 3.11 on

// Offsets in bytes. Headers: Include/cpython/{pystate,code,frameobject,unicodeobject}.h, Include/internal/pycore_{frame,
// interp,dict}.h of each release.
struct python_layout {
    unsigned version; // 0x30b: 3.11
    enum python_lines lines;
    // Of a thread's state: what leads to its innermost frame, and over which word of a _PyCFrame (-1: directly).
    int state_frame, cframe_frame, cframe_previous;
    // Of a frame. `boundary`: a byte; with that value the frame is the last one that a call of the loop runs (3.11), or no
    // function's but the loop's own (3.12 on). -1: each frame has a call of the loop (up to 3.10).
    int frame_code, frame_back, frame_globals, frame_instruction, frame_locals, boundary, boundary_value;
    int code_filename, code_name, code_lines, code_first_line, code_bytecode;
    int code_locals, code_local_names; // their number (int) and their names, a tuple
    int ascii_data, wide_data;         // of a str
    int keys_header;                   // of a dict's keys, up to its indices
    int type_keys;                     // of a class: the keys that its instances share
};

struct python {
    struct symbols *symbols;
    const struct view *view;
    const struct python_layout *layout;
    uint64_t bias;
    const struct symbol_module *module;
    uint64_t code_type, text_type, dict_type, tuple_type, list_type, cell_type;
    uint64_t state; // of the thread
};

// Is it the loop that runs byte code?
bool python_is_loop(const struct frame *f);

// Reads the interpreter whose loop has `pc`, for the thread with this fs_base. false: not one that is known, or what is in
// memory does not fit what it should be.
bool python_open(struct python *p, struct symbols *s, const struct view *v, uint64_t pc, uint64_t fs_base);

// Memory; what cannot be read is 0.
bool python_read(const struct python *p, uint64_t at, void *out, size_t size);
uint64_t python_word(const struct python *p, uint64_t at);
// A str of at most 512 characters, in UTF-8, that lives as long as `symbols`; NULL: it is none.
const char *python_text(const struct python *p, uint64_t object);

// The innermost frame's address (0: none), the next outer one's (skipping those that stand for C), its code object.
uint64_t python_frame(const struct python *p);
uint64_t python_frame_back(const struct python *p, uint64_t frame);
// Describes the frame; false: it is no frame of a function.
bool python_call(const struct python *p, uint64_t frame, struct script_call *out);

#endif
