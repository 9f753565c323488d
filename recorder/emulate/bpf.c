#include "recorder/emulate/bpf.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS = BPF_MEMWORDS, ALL_WORDS = (1 << WORDS) - 1 };

// ---- what the kernel takes

// The instructions that a filter may use (seccomp_check_filter; BPF_MOD is none of them).
static bool known(uint16_t code) {
    switch (code) {
    case BPF_LD | BPF_W | BPF_ABS:
    case BPF_LD | BPF_W | BPF_LEN:
    case BPF_LDX | BPF_W | BPF_LEN:
    case BPF_LD | BPF_IMM:
    case BPF_LDX | BPF_IMM:
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
    case BPF_ST:
    case BPF_STX:
    case BPF_RET | BPF_K:
    case BPF_RET | BPF_A:
    case BPF_ALU | BPF_NEG:
    case BPF_MISC | BPF_TAX:
    case BPF_MISC | BPF_TXA:
    case BPF_JMP | BPF_JA:
        return true;
    default:
        break;
    }
    if (code & ~(7 | 0xf0 | BPF_X)) return false;
    switch (BPF_CLASS(code)) {
    case BPF_ALU:
        return BPF_OP(code) <= BPF_RSH || BPF_OP(code) == BPF_XOR;
    case BPF_JMP:
        return BPF_OP(code) >= BPF_JEQ && BPF_OP(code) <= BPF_JSET;
    default:
        return false;
    }
}

static bool uses_memory(uint16_t code) {
    return code == (BPF_LD | BPF_MEM) || code == (BPF_LDX | BPF_MEM) || code == BPF_ST || code == BPF_STX;
}

static bool good(const struct sock_filter *code, size_t length, size_t at) {
    const struct sock_filter *i = &code[at];
    size_t behind = length - at - 1;
    if (!known(i->code)) return false;
    if (i->code == (BPF_LD | BPF_W | BPF_ABS)) return i->k < sizeof(struct seccomp_data) && !(i->k & 3);
    if (i->code == (BPF_ALU | BPF_DIV | BPF_K)) return i->k != 0;
    if (i->code == (BPF_ALU | BPF_LSH | BPF_K) || i->code == (BPF_ALU | BPF_RSH | BPF_K)) return i->k < 32;
    if (uses_memory(i->code)) return i->k < WORDS;
    if (i->code == (BPF_JMP | BPF_JA)) return i->k < behind;
    if (BPF_CLASS(i->code) == BPF_JMP) return i->jt < behind && i->jf < behind;
    return true;
}

// No load from a word that some way there has not stored to (check_load_and_stores). `stored`: one mask for each instruction.
static bool loads_are_stored(const struct sock_filter *code, size_t length, uint16_t *stored) {
    uint16_t now = 0;
    memset(stored, 0xff, length * sizeof *stored);
    for (size_t at = 0; at < length; at++) {
        const struct sock_filter *i = &code[at];
        now &= stored[at];
        if (i->code == BPF_ST || i->code == BPF_STX) {
            now |= (uint16_t)(1u << i->k);
        } else if (uses_memory(i->code)) {
            if (!(now >> i->k & 1)) return false;
        } else if (i->code == (BPF_JMP | BPF_JA)) {
            stored[at + 1 + i->k] &= now;
            now = ALL_WORDS;
        } else if (BPF_CLASS(i->code) == BPF_JMP) {
            stored[at + 1 + i->jt] &= now;
            stored[at + 1 + i->jf] &= now;
            now = ALL_WORDS;
        }
    }
    return true;
}

bool bpf_check(const struct sock_filter *code, size_t length) {
    if (length == 0 || length > BPF_MAXINSNS || BPF_CLASS(code[length - 1].code) != BPF_RET) return false;
    for (size_t at = 0; at < length; at++)
        if (!good(code, length, at)) return false;
    uint16_t *stored = malloc(length * sizeof *stored);
    bool result = stored && loads_are_stored(code, length, stored);
    free(stored);
    return result;
}

// ---- what it returns

// False: a division by 0.
static bool calculate(uint16_t operation, uint32_t *a, uint32_t b) {
    switch (operation) {
    case BPF_ADD:
        *a += b;
        return true;
    case BPF_SUB:
        *a -= b;
        return true;
    case BPF_MUL:
        *a *= b;
        return true;
    case BPF_DIV:
        if (b) *a /= b;
        return b != 0;
    case BPF_AND:
        *a &= b;
        return true;
    case BPF_OR:
        *a |= b;
        return true;
    case BPF_XOR:
        *a ^= b;
        return true;
    case BPF_LSH: // by a register: as the processor does it
        *a <<= b & 31;
        return true;
    case BPF_RSH:
        *a >>= b & 31;
        return true;
    default: // BPF_NEG
        *a = -*a;
        return true;
    }
}

static bool holds(uint16_t operation, uint32_t a, uint32_t b) {
    switch (operation) {
    case BPF_JEQ:
        return a == b;
    case BPF_JGT:
        return a > b;
    case BPF_JGE:
        return a >= b;
    default: // BPF_JSET
        return a & b;
    }
}

uint32_t bpf_run(const struct sock_filter *code, size_t length, const struct seccomp_data *data) {
    uint32_t a = 0, x = 0, memory[WORDS] = {0};
    for (size_t at = 0; at < length; at++) {
        const struct sock_filter *i = &code[at];
        uint32_t operand = i->code & BPF_X ? x : i->k;
        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            memcpy(&a, (const char *)data + i->k, sizeof a);
            continue;
        case BPF_LD | BPF_W | BPF_LEN:
            a = sizeof *data;
            continue;
        case BPF_LDX | BPF_W | BPF_LEN:
            x = sizeof *data;
            continue;
        case BPF_LD | BPF_IMM:
            a = i->k;
            continue;
        case BPF_LDX | BPF_IMM:
            x = i->k;
            continue;
        case BPF_LD | BPF_MEM:
            a = memory[i->k];
            continue;
        case BPF_LDX | BPF_MEM:
            x = memory[i->k];
            continue;
        case BPF_ST:
            memory[i->k] = a;
            continue;
        case BPF_STX:
            memory[i->k] = x;
            continue;
        case BPF_MISC | BPF_TAX:
            x = a;
            continue;
        case BPF_MISC | BPF_TXA:
            a = x;
            continue;
        case BPF_RET | BPF_K:
            return i->k;
        case BPF_RET | BPF_A:
            return a;
        case BPF_JMP | BPF_JA:
            at += i->k;
            continue;
        default:
            break;
        }
        if (BPF_CLASS(i->code) == BPF_JMP)
            at += holds(BPF_OP(i->code), a, operand) ? i->jt : i->jf;
        else if (!calculate(BPF_OP(i->code), &a, operand))
            return 0;
    }
    return SECCOMP_RET_KILL_PROCESS; // not reached: the last instruction returns
}
