// Machine code of a process, read as it stands in its memory: instructions, where calls and branches lead, and what functions
// of known names do to locks.
#ifndef REFORK_REPLAYER_VERDICT_CODE_WALK_H
#define REFORK_REPLAYER_VERDICT_CODE_WALK_H

#include "core/view.h"
#include "replayer/names/symbols.h"

#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stdint.h>

struct code {
    struct symbols *symbols;
    const struct view *view;
    ZydisDecoder decoder;
};

struct instruction {
    ZydisDecodedInstruction in;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

void code_begin(struct code *c, struct symbols *symbols, const struct view *view);
bool code_instruction(const struct code *c, uint64_t pc, struct instruction *out);
// Where the instruction at `pc`, a branch or a call, goes; 0: cannot be told. What counting stubs stand for is looked through.
uint64_t code_target(const struct code *c, uint64_t pc, const struct instruction *i);
// Past a PLT entry: [endbr64] jmp *slot(%rip).
uint64_t code_past_plt(const struct code *c, uint64_t pc);

// Names as stack_plain_name gives them.
bool code_takes_lock(const char *name);
bool code_gives_lock(const char *name); // its first argument is the lock
bool code_never_returns(const char *name);

#define CODE_ONE_OF(name, list) code_one_of(name, list, sizeof list / sizeof *list)
bool code_one_of(const char *name, const char *const *names, size_t count);

#endif
