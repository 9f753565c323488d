#include "replayer/names/unwind_guess.h"

#include "core/annex.h"

#include <Zydis/Zydis.h>
#include <string.h>
#include <sys/mman.h>

#define SCAN_WORDS        2048 // 16 KiB: larger frames without tables are lost
#define LONGEST_CALL      8    // REX + FF /2 + ModRM + SIB + disp32
#define NEAR_ENTRY        64   // _start is shorter than this in every libc seen (glibc 38 bytes, musl 22)
#define TAIL_INSTRUCTIONS 64
#define FUNCTION_SIZE     4096 // assumed size of a function without a symbol

bool guess_is_return_address(const struct view *v, guess_reader read, void *context, uint64_t pc,
                             uint64_t *target) {
    *target = 0;
    if (pc < LONGEST_CALL || annex_contains(pc)) return false;
    const struct view_map *map = view_find(v, pc - 1);
    if (!map || !(map->prot & PROT_EXEC)) return false;
    size_t have = pc - map->start < LONGEST_CALL ? pc - map->start : LONGEST_CALL;
    uint8_t code[LONGEST_CALL] = {0};
    if (!read(context, pc - have, code + LONGEST_CALL - have, have)) return false;
    if (have >= 5 && code[3] == 0xe8) {
        int32_t relative;
        memcpy(&relative, code + 4, sizeof relative);
        *target = pc + (uint64_t)(int64_t)relative;
        const struct view_map *callee = view_find(v, *target);
        if (callee && (callee->prot & PROT_EXEC)) return true;
        *target = 0;
    }
    ZydisDecoder decoder;
    if (!ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)))
        return false;
    for (size_t len = 2; len <= have; len++) {
        ZydisDecodedInstruction instruction;
        if (ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code + LONGEST_CALL - len, len,
                                                       &instruction)) &&
            instruction.length == len && instruction.mnemonic == ZYDIS_MNEMONIC_CALL &&
            instruction.opcode == 0xff)
            return true;
    }
    return false;
}

// A place and the function [start, end) that holds it; end is 0 where its bounds are not known.
struct callee {
    uint64_t pc, start, end;
};

// Does a direct call to `target` enter the function that holds `in->pc`?
static bool enters(uint64_t target, const struct callee *in) {
    if (in->end) return target >= in->start && target < in->end && target <= in->pc;
    return target <= in->pc && in->pc - target < FUNCTION_SIZE;
}

enum fit { FIT_NO, FIT_MAYBE, FIT_YES };

// The same, where the callee ends in a jump: musl's qsort is `...; jmp __qsort_r`, its __libc_start_main ends
// in `jmp *%rax`, which may go anywhere.
static enum fit enters_by_jump(guess_reader read, void *context, uint64_t target, const struct callee *in,
                               int depth) {
    ZydisDecoder decoder;
    if (!ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)))
        return FIT_NO;
    for (int i = 0; i < TAIL_INSTRUCTIONS; i++) {
        uint8_t code[ZYDIS_MAX_INSTRUCTION_LENGTH];
        ZydisDecodedInstruction instruction;
        ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
        ZyanU64 to;
        if (!read(context, target, code, sizeof code) ||
            !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, sizeof code, &instruction, operands)))
            return FIT_NO;
        if (instruction.mnemonic == ZYDIS_MNEMONIC_JMP) {
            if (operands[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE) return FIT_MAYBE;
            if (!ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&instruction, &operands[0], target, &to)))
                return FIT_NO;
            if (enters(to, in)) return FIT_YES;
            return depth ? enters_by_jump(read, context, to, in, depth - 1) : FIT_NO;
        }
        if (instruction.mnemonic == ZYDIS_MNEMONIC_RET || instruction.mnemonic == ZYDIS_MNEMONIC_INT3)
            return FIT_NO;
        target += instruction.length;
    }
    return FIT_NO;
}

// Can a call to `target` have come to `in`? A target of 0 is an indirect call, which goes anywhere.
static enum fit call_fits(guess_reader read, void *context, uint64_t target, const struct callee *in) {
    if (!target) return FIT_MAYBE;
    return enters(target, in) ? FIT_YES : enters_by_jump(read, context, target, in, 1);
}

bool guess_is_trampoline(const struct view *v, guess_reader read, void *context, uint64_t pc) {
    static const uint8_t code[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
    uint8_t have[sizeof code];
    const struct view_map *map = view_find(v, pc);
    if (!map || !(map->prot & PROT_EXEC) || annex_contains(pc)) return false;
    if (read(context, pc, have, sizeof have) && !memcmp(have, code, sizeof code)) return true;
    return pc >= 7 && read(context, pc - 7, have, sizeof have) && !memcmp(have, code, sizeof code);
}

// A PLT entry leaves the stack as it is: `jmp *slot`, with endbr64 and bnd before it or not. In static
// programs (for IFUNCs) no table covers it, and what jumps to it need not be a call.
static bool is_plt_entry(guess_reader read, void *context, uint64_t pc) {
    static const struct {
        uint8_t len, bytes[7];
    } starts[] = {
        {2, {0xff, 0x25}},
        {6, {0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25}},
        {7, {0xf3, 0x0f, 0x1e, 0xfa, 0xf2, 0xff, 0x25}},
    };
    uint8_t code[7];
    if (!read(context, pc, code, sizeof code)) return false;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (!memcmp(code, starts[i].bytes, starts[i].len)) return true;
    return false;
}

bool guess_caller(const struct view *v, guess_reader read, void *context, const struct guess *frame,
                  bool lost, struct guess *caller) {
    struct module m;
    struct callee in = {.pc = frame->pc};
    if (!lost && module_at(v, frame->pc, &m)) {
        uint64_t entry = m.entry + m.bias;
        if (m.entry && frame->pc >= entry && frame->pc - entry < NEAR_ENTRY) return false; // _start: the end
        if (!module_function(&m, frame->pc, &in.start, &in.end)) in.end = 0;
    }
    struct guess by_pointer = {0};
    bool stale = false;
    uint64_t pointer[2], target, top;
    if (!lost && is_plt_entry(read, context, frame->pc) && read(context, frame->sp, &top, sizeof top) &&
        guess_is_return_address(v, read, context, top, &target)) {
        *caller = (struct guess){.pc = top, .sp = frame->sp + 8, .bp = frame->bp};
        return true;
    }
    if (!lost && frame->bp >= frame->sp && frame->bp % 8 == 0 && frame->bp - frame->sp < (1u << 20) &&
        read(context, frame->bp, pointer, sizeof pointer)) {
        struct guess found = {.pc = pointer[1], .sp = frame->bp + 16, .bp = pointer[0]};
        if (guess_is_return_address(v, read, context, pointer[1], &target)) {
            by_pointer = found;
            enum fit fit = call_fits(read, context, target, &in);
            by_pointer.scanned = fit != FIT_YES;
            // rbp need be no frame pointer: in musl's _Fork it is the address of a signal set, and above it lies what
            // pthread_create left there. A call that cannot have come here gives way to one that did.
            stale = fit == FIT_NO && in.end;
        } else if (guess_is_trampoline(v, read, context, pointer[1])) {
            by_pointer = found;
        }
    }
    struct guess indirect = {0};
    uint64_t at = (frame->sp + 7) & -8ull;
    for (int i = 0; i < SCAN_WORDS; i++, at += 8) {
        if (by_pointer.pc && !stale && at >= frame->bp) break;
        uint64_t word;
        if (!read(context, at, &word, sizeof word)) break;
        // A handler's return address was written by the kernel, right under the ucontext_t.
        bool trampoline = guess_is_trampoline(v, read, context, word);
        if (!trampoline && !guess_is_return_address(v, read, context, word, &target)) continue;
        struct guess found = {.pc = word, .sp = at + 8, .bp = frame->bp, .scanned = true};
        enum fit fit = lost || trampoline ? FIT_YES : call_fits(read, context, target, &in);
        if (fit == FIT_YES) {
            // Without the function's bounds a fitting direct call is no better than an indirect one nearer
            // by.
            *caller = in.end || !indirect.pc ? found : indirect;
            return true;
        }
        if (fit == FIT_MAYBE && !indirect.pc) indirect = found;
    }
    *caller = by_pointer.pc ? by_pointer : indirect;
    return caller->pc != 0;
}
