// Objects: Include/object.h, Include/cpython/{object,dictobject,tupleobject,listobject,cellobject}.h, Objects/dictobject.c.
#include "replayer/names/python_lock.h"

#include "replayer/names/python.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FRAMES_MAX = 64,
    OBJECTS_MAX = 20000,
    SEEN_SLOTS = 1 << 16,
    DEPTH_MAX = 4,
    ENTRIES_MAX = 4096, // of a dict
    ITEMS_MAX = 64,     // of a list or tuple
    LOCALS_MAX = 256,
    OBJECT_WORDS = 64, // of a C object that may hold the lock's address
    PATH_SIZE = 160,
    // Of objects:
    TYPE = 8,
    SIZE = 16, // the number of a tuple's or list's items
    CELL_VALUE = 16,
    MODULE_DICT = 16,
    LIST_ITEMS = 24,  // a pointer
    TUPLE_ITEMS = 24, // the items
    DICT_KEYS = 32,
    DICT_VALUES = 40,
    METHOD_SELF = 24,
    OLD_FREE_NAMES = 80, // of a code object up to 3.10: names of what is in cells
    OLD_CELL_NAMES = 88,
    // Of types:
    TYPE_NAME = 24,
    TYPE_BASIC_SIZE = 32,
    TYPE_FLAGS = 168,
    TYPE_DICT = 264,
    TYPE_DICT_OFFSET = 288,
    HEAP_TYPE = 1 << 9,     // Py_TPFLAGS_HEAPTYPE
    MANAGED_DICT = 1 << 4,  // 3.11 on
    INLINE_VALUES = 1 << 2, // 3.13
};

struct object {
    uint64_t at;
    int depth;
    int detour;           // what makes the way to it say less than another one as long
    const char *function; // whose local variable it is, or is reached from; NULL: a global's
    bool variable;        // `path` is that variable and what it contains: no attribute
    char path[PATH_SIZE]; // what leads to it
};

struct search {
    struct python python;
    uint64_t lock;
    struct object *objects; // the shortest ways first; also the queue
    size_t count;
    uint64_t *seen;      // open addressing
    struct object owner; // of the lock, with the best way to it; `at` 0: not found
};

// Of two ways to the lock: its own name before an attribute, a module's global before a local variable.
enum { COST_STEP = 4, COST_LOCAL = 1, COST_METHOD = 2, COST_THREADING = 6 };

static int cost_of(const struct object *o) {
    return o->depth * COST_STEP + o->detour + (o->function ? COST_LOCAL : 0);
}

static bool is_new(struct search *s, uint64_t at) {
    size_t i = at / 16 % SEEN_SLOTS;
    while (s->seen[i] && s->seen[i] != at)
        i = (i + 1) % SEEN_SLOTS;
    if (s->seen[i]) return false;
    s->seen[i] = at;
    return true;
}

// Is the lock's address in the object's own memory?
static bool holds_lock(const struct search *s, uint64_t object) {
    uint64_t type = python_word(&s->python, object + TYPE), words[OBJECT_WORDS];
    uint64_t size = type ? python_word(&s->python, type + TYPE_BASIC_SIZE) / 8 : 0;
    if (size < 3 || size > 4096) return false;
    if (size > OBJECT_WORDS) size = OBJECT_WORDS;
    if (!python_read(&s->python, object, words, size * 8)) return false;
    for (size_t i = 2; i < size; i++)
        if (words[i] == s->lock) return true;
    return false;
}

static void add(struct search *s, uint64_t at, const struct object *like) {
    if (at < 4096 || at % 8) return;
    bool fresh = s->count < OBJECTS_MAX && is_new(s, at);
    if (at == s->owner.at || (!s->owner.at && fresh && holds_lock(s, at))) {
        if (s->owner.at && cost_of(like) >= cost_of(&s->owner)) return;
        s->owner = *like;
        s->owner.at = at;
        return;
    }
    if (!fresh) return;
    s->objects[s->count] = *like;
    s->objects[s->count++].at = at;
}

__attribute__((format(printf, 4, 5))) static void
add_below(struct search *s, uint64_t at, const struct object *of, const char *format, ...) {
    struct object o = *of;
    va_list ap;
    va_start(ap, format);
    size_t used = strlen(o.path), room = sizeof o.path - used;
    int n = vsnprintf(o.path + used, room, format, ap);
    va_end(ap);
    o.depth++;
    if (n >= 0 && (size_t)n < room) add(s, at, &o);
}

// ---- dicts

typedef void (*dict_visit)(struct search *s, void *context, const char *name, uint64_t value);

// Of the keys of a dict, or of the attributes of a class' instances. Up to 3.10: 8 bytes each of references, number of
// indices, a function, usable, entries. 3.11 on: references; a byte each of log2 of the number and of their bytes, of
// the kind of entries; usable at 16, entries at 24. `values` 0: they are beside the keys.
static void visit_keys(struct search *s, uint64_t keys, uint64_t values, dict_visit visit, void *context) {
    const struct python *p = &s->python;
    const uint64_t header = (uint64_t)p->layout->keys_header;
    uint64_t entries = keys + header, count, stride = 24;
    unsigned char bytes[8];
    if (!keys || !python_read(p, keys + 8, bytes, sizeof bytes)) return;
    if (header == 40) {
        uint64_t size = python_word(p, keys + 8);
        if (size > 1u << 24) return;
        entries += size * (size <= 0xff ? 1 : size <= 0xffff ? 2 : 4);
        count = python_word(p, keys + 32);
    } else {
        if (bytes[1] > 28) return;
        entries += 1ul << bytes[1];
        if (bytes[2]) stride = 16; // all keys are str: no hashes
        count = python_word(p, keys + 24);
    }
    for (uint64_t i = 0; i < count && count <= ENTRIES_MAX; i++) {
        uint64_t entry = entries + i * stride + (stride == 24 ? 8 : 0);
        uint64_t value = python_word(p, values ? values + 8 * i : entry + 8);
        const char *name = value ? python_text(p, python_word(p, entry)) : NULL;
        if (name) visit(s, context, name, value);
    }
}

static void visit_dict(struct search *s, uint64_t dict, dict_visit visit, void *context) {
    uint64_t values = python_word(&s->python, dict + DICT_VALUES);
    if (values && s->python.layout->version >= 0x30d) values += 8; // they begin with their numbers
    visit_keys(s, python_word(&s->python, dict + DICT_KEYS), values, visit, context);
}

struct entry {
    const char *name;
    uint64_t value;
};

static void keep_value(struct search *s, void *context, const char *name, uint64_t value) {
    struct entry *e = context;
    (void)s;
    if (!strcmp(name, e->name)) e->value = value;
}

static const char *text_in(struct search *s, uint64_t dict, const char *name) {
    struct entry e = {name, 0};
    visit_dict(s, dict, keep_value, &e);
    return e.value ? python_text(&s->python, e.value) : NULL;
}

// ---- what an object leads to

static void add_named(struct search *s, void *context, const char *name, uint64_t value) {
    add_below(s, value, context, ".%s", name);
}

static void add_key(struct search *s, void *context, const char *name, uint64_t value) {
    add_below(s, value, context, "[\"%s\"]", name);
}

static void add_items(struct search *s, uint64_t items, uint64_t count, const struct object *of) {
    for (uint64_t i = 0; i < count && i < ITEMS_MAX; i++)
        add_below(s, python_word(&s->python, items + 8 * i), of, "[%d]", (int)i);
}

// "queue.Queue": a class of Python's own code with its module. false: it is a type of C.
static bool class_name(struct search *s, uint64_t type, char *out, size_t size) {
    const struct python *p = &s->python;
    char name[96] = "";
    if (!(python_word(p, type + TYPE_FLAGS) & HEAP_TYPE)) return false;
    const char *module = text_in(s, python_word(p, type + TYPE_DICT), "__module__");
    if (!module || !python_read(p, python_word(p, type + TYPE_NAME), name, sizeof name - 1)) return false;
    if (strchr(name, '.')) return false; // those of C have their module in the name
    return snprintf(out, size, "%s.%s", module, name) < (int)size;
}

// The attributes of an instance are in a dict, or (3.11 on) in values whose names are the class's.
static void add_attributes(struct search *s, uint64_t type, struct object *of) {
    const struct python *p = &s->python;
    uint64_t flags = python_word(p, type + TYPE_FLAGS), offset = python_word(p, type + TYPE_DICT_OFFSET);
    uint64_t keys = flags & HEAP_TYPE ? python_word(p, type + (uint64_t)p->layout->type_keys) : 0;
    // A local variable's name says less than what it is.
    if (of->function && class_name(s, type, of->path, sizeof of->path)) of->variable = false;
    if (!strncmp(of->path, "threading.", 10))
        of->detour += COST_THREADING; // a Condition's lock is often another's
    if (p->layout->version < 0x30b || !(flags & MANAGED_DICT)) {
        uint64_t dict = offset && offset < 4096 ? python_word(p, of->at + offset) : 0;
        if (dict) visit_dict(s, dict, add_named, of);
    } else {
        uint64_t word = python_word(p, of->at - 24);
        if (p->layout->version == 0x30b && !word) // its values are one word before
            visit_keys(s, keys, python_word(p, of->at - 32), add_named, of);
        else if (p->layout->version == 0x30c && (word & 1)) // the values' address, less one
            visit_keys(s, keys, word + 1, add_named, of);
        else if (p->layout->version == 0x30d && !word &&
                 (flags & INLINE_VALUES)) // behind the object and 8 bytes
            visit_keys(s, keys, of->at + python_word(p, type + TYPE_BASIC_SIZE) + 8, add_named, of);
        else if (word)
            visit_dict(s, word, add_named, of);
    }
    if (flags & HEAP_TYPE) visit_dict(s, python_word(p, type + TYPE_DICT), add_named, of);
}

// A C object in another one: text files have a buffered one with the lock.
static void look_inside(struct search *s, uint64_t type, const struct object *of) {
    const struct python *p = &s->python;
    uint64_t words[OBJECT_WORDS], size = python_word(p, type + TYPE_BASIC_SIZE) / 8;
    char name[64] = "";
    if (size > OBJECT_WORDS) size = OBJECT_WORDS;
    if (size < 3 || !python_read(p, of->at, words, size * 8)) return;
    for (size_t i = 2; i < size; i++) {
        const struct view_map *map = words[i] % 8 ? NULL : view_find(p->view, words[i]);
        if (!map || s->owner.at || !holds_lock(s, words[i])) continue;
        uint64_t inner = python_word(p, words[i] + TYPE);
        if (!python_read(p, python_word(p, inner + TYPE_NAME), name, sizeof name - 1)) return;
        add_below(s, words[i], of, " (its %s)", name);
    }
}

static void look_at_named_type(struct search *s, uint64_t type, struct object *of) {
    const struct python *p = &s->python;
    char name[64] = "";
    if (!python_read(p, python_word(p, type + TYPE_NAME), name, sizeof name - 1)) return;
    if (!strcmp(name, "builtin_function_or_method") || !strcmp(name, "method")) {
        of->detour += COST_METHOD;
        add(s, python_word(p, of->at + METHOD_SELF), of); // lock.acquire
    } else if (!strcmp(name, "module")) {
        uint64_t dict = python_word(p, of->at + MODULE_DICT);
        const char *module =
            of->depth ? NULL : text_in(s, dict, "__name__"); // those that are imported, no further
        if (!module) return;
        of->function = NULL;
        snprintf(of->path, sizeof of->path, "%.100s", module);
        visit_dict(s, dict, add_named, of);
    } else if (!strcmp(name, "type")) {
        if (python_word(p, of->at + TYPE_FLAGS) & HEAP_TYPE)
            visit_dict(s, python_word(p, of->at + TYPE_DICT), add_named, of);
    } else if (strcmp(name, "function") != 0) {
        add_attributes(s, type, of);
        if (strchr(name, '.')) look_inside(s, type, of);
    }
}

static void look_at(struct search *s, size_t index) {
    const struct python *p = &s->python;
    struct object of = s->objects[index];
    uint64_t type = python_word(p, of.at + TYPE);
    if (!type) return;
    if (type == p->cell_type)
        add(s, python_word(p, of.at + CELL_VALUE), &of);
    else if (of.depth == DEPTH_MAX)
        return;
    else if (type == p->dict_type)
        visit_dict(s, of.at, add_key, &of);
    else if (type == p->list_type)
        add_items(s, python_word(p, of.at + LIST_ITEMS), python_word(p, of.at + SIZE), &of);
    else if (type == p->tuple_type)
        add_items(s, of.at + TUPLE_ITEMS, python_word(p, of.at + SIZE), &of);
    else
        look_at_named_type(s, type, &of);
}

// ---- where it begins

static void add_global(struct search *s, void *context, const char *name, uint64_t value) {
    struct object o = {.depth = 0};
    if (snprintf(o.path, sizeof o.path, "%s.%s", (const char *)context, name) < (int)sizeof o.path)
        add(s, value, &o);
}

static void add_globals(struct search *s, uint64_t frame) {
    const struct python *p = &s->python;
    uint64_t dict = python_word(p, frame + (uint64_t)p->layout->frame_globals);
    if (python_word(p, dict + TYPE) != p->dict_type || !is_new(s, dict)) return;
    const char *module = text_in(s, dict, "__name__");
    if (module) visit_dict(s, dict, add_global, (void *)(uintptr_t)module);
}

// The name of local variable `i`; up to 3.10 those in cells have tuples of their own.
static const char *local_name(const struct python *p, uint64_t code, uint64_t i) {
    static const int further[] = {OLD_CELL_NAMES, OLD_FREE_NAMES};
    uint64_t names = python_word(p, code + (uint64_t)p->layout->code_local_names);
    for (size_t k = 0;; k++) {
        uint64_t size = python_word(p, names + SIZE);
        if (python_word(p, names + TYPE) != p->tuple_type) return NULL;
        if (i < size) return python_text(p, python_word(p, names + TUPLE_ITEMS + 8 * i));
        if (p->layout->version >= 0x30b || k == 2) return NULL;
        i -= size;
        names = python_word(p, code + (uint64_t)further[k]);
    }
}

static void add_locals(struct search *s, uint64_t frame, const char *function) {
    const struct python *p = &s->python;
    uint64_t code = python_word(p, frame + (uint64_t)p->layout->frame_code);
    for (uint64_t i = 0; i < LOCALS_MAX; i++) {
        const char *name = local_name(p, code, i);
        struct object o = {.function = function, .variable = true};
        if (!name) return;
        snprintf(o.path, sizeof o.path, "%.150s", name);
        add(s, python_word(p, frame + (uint64_t)p->layout->frame_locals + 8 * i), &o);
    }
}

static bool find(struct search *s, char *out, size_t size) {
    uint64_t frames[FRAMES_MAX];
    size_t n = 0;
    struct script_call call;
    for (uint64_t f = python_frame(&s->python); f && n < FRAMES_MAX; f = python_frame_back(&s->python, f))
        frames[n++] = f;
    for (size_t i = 0; i < n; i++)
        if (python_call(&s->python, frames[i], &call)) add_globals(s, frames[i]);
    for (size_t i = 0; i < n; i++)
        if (python_call(&s->python, frames[i], &call)) add_locals(s, frames[i], call.function);
    const struct object *o = &s->owner;
    for (size_t i = 0; i < s->count && !(o->at && s->objects[i].depth * COST_STEP > cost_of(o)); i++)
        look_at(s, i);
    if (!o->at) return false;
    if (o->variable)
        snprintf(out, size, "'%s' of %s", o->path, o->function);
    else
        snprintf(out, size, "%s", o->path);
    return true;
}

// The address of code of the interpreter's loop on the stack; 0: it is not there.
static uint64_t loop_on_stack(struct symbols *symbols, const struct view *v,
                              const struct user_regs_struct *regs) {
    struct raw_frame raw[FRAMES_MAX];
    struct frame frames[FRAMES_MAX];
    size_t n = symbols_frames(symbols, v, raw, unwind_stack(v, regs, raw, FRAMES_MAX), frames, FRAMES_MAX);
    for (size_t i = 0; i < n; i++)
        if (python_is_loop(&frames[i])) return frames[i].pc;
    return 0;
}

bool python_lock_name(struct symbols *symbols, const struct view *v, const struct user_regs_struct *regs,
                      uint64_t address, char *out, size_t size) {
    struct search s = {.lock = address};
    uint64_t loop = loop_on_stack(symbols, v, regs);
    if (!loop || !python_open(&s.python, symbols, v, loop, regs->fs_base)) return false;
    s.objects = calloc(OBJECTS_MAX, sizeof *s.objects);
    s.seen = calloc(SEEN_SLOTS, sizeof *s.seen);
    bool found = s.objects && s.seen && find(&s, out, size);
    free(s.objects);
    free(s.seen);
    return found;
}
