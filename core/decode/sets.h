// Names of numbers: flags and enumerations that system calls take. The tables are in sets.def.
#ifndef REFORK_CORE_DECODE_SETS_H
#define REFORK_CORE_DECODE_SETS_H

#include "core/text.h"

enum decode_set {
    SET_NONE,
#define BEGIN(id, unknown) SET_##id,
#define SYM(symbol)
#define AS(name, value)
#define PART(symbol, mask)
#define END
#include "core/decode/sets.def"
#undef BEGIN
#undef SYM
#undef AS
#undef PART
#undef END
    DECODE_SETS
};

// "O_WRONLY|O_CREAT"; bits that have no name as a number.
void decode_flags(struct text *t, enum decode_set set, uint64_t value);
// The one name of the value, or the number.
void decode_enum(struct text *t, enum decode_set set, uint64_t value);
// The same, NULL when the value has no name.
const char *decode_name(enum decode_set set, uint64_t value);

#endif
