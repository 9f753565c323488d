// Arguments and local variables of a frame, with their values, as far as the debug information says where they are.
#ifndef REFORK_REPLAYER_NAMES_LOCALS_H
#define REFORK_REPLAYER_NAMES_LOCALS_H

#include "replayer/names/symbols.h"

struct local {
    int depth; // members and elements stand below what they are in, one deeper
    char name[64], type[64];
    char value[128];  // "<optimized out>" when it is kept nowhere there; bytes of the program: made printable
    uint64_t address; // where it lies; 0: in no memory
    uint64_t size;    // bytes of it there
};

// Those of frame number `index` of the stack of a task with these registers (as frames_at numbers them), arguments first, of
// inner blocks before outer ones. The number written, at most max; -1: there is no such frame, or no debug information of it.
int locals_at(struct symbols *s, const struct view *v, const struct user_regs_struct *regs, size_t index,
              struct local *out, size_t max);
// The static variables called `name` of all modules, those of one file or function too, with what they consist of. The number
// written; 0: there is none. Of one that is known as a symbol alone the address and the size are told.
int globals_named(struct symbols *s, const struct view *v, const char *name, struct local *out, size_t max);
// Calls `visit` with the name of each, some of them more than once. `own`: it is of the module that is mapped first, the program.
typedef void (*global_visit)(void *context, const char *name, bool own);
void globals_visit(struct symbols *s, const struct view *v, global_visit visit, void *context);

#endif
