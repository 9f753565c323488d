#include "core/cpu/needs.h"

#include <Zydis/Zydis.h>
#include <ctype.h>
#include <stdio.h>

static bool decode(const uint8_t *code, size_t len, ZydisDecodedInstruction *in) {
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code, len, in));
}

bool cpu_needed(const uint8_t *code, size_t len, char name[32], char set[32]) {
    ZydisDecodedInstruction in;
    if (!decode(code, len, &in) || in.mnemonic == ZYDIS_MNEMONIC_UD0 || in.mnemonic == ZYDIS_MNEMONIC_UD1 ||
        in.mnemonic == ZYDIS_MNEMONIC_UD2)
        return false;
    const char *of = ZydisISASetGetString(in.meta.isa_set), *mnemonic = ZydisMnemonicGetString(in.mnemonic);
    if (!of || !mnemonic) return false;
    snprintf(name, 32, "%s", mnemonic);
    snprintf(set, 32, "%s", of);
    for (char *c = set; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return true;
}

bool cpu_restores_registers(const uint8_t *code, size_t len) {
    ZydisDecodedInstruction in;
    return decode(code, len, &in) &&
           (in.mnemonic == ZYDIS_MNEMONIC_XRSTOR || in.mnemonic == ZYDIS_MNEMONIC_XRSTOR64 ||
            in.mnemonic == ZYDIS_MNEMONIC_FXRSTOR || in.mnemonic == ZYDIS_MNEMONIC_FXRSTOR64);
}
