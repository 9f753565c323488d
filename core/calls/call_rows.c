#include "core/calls/call_rows.h"

#include <sys/syscall.h>

#define FIXED(argument, bytes)                                                                               \
    { .arg = (argument), .size = CALL_SIZE_FIXED, .scale = (bytes) }
#define RESULT(argument, most)                                                                               \
    { .arg = (argument), .size = CALL_SIZE_RESULT, .limit = (most), .scale = 1 }
#define RESULTS(argument, most, bytes)                                                                       \
    {                                                                                                        \
        .arg = (argument), .size = CALL_SIZE_RESULT, .limit = (most), .limit_kind = CALL_LIMIT_INT,          \
        .scale = (bytes)                                                                                     \
    }
#define SOME(argument, most, bytes)                                                                          \
    {                                                                                                        \
        .arg = (argument), .size = CALL_SIZE_RESULT, .limit = (most), .limit_kind = CALL_LIMIT_SOME,         \
        .scale = (bytes)                                                                                     \
    }
#define BYTES(argument, count)                                                                               \
    { .arg = (argument), .size = CALL_SIZE_ARG, .limit = (count), .scale = 1 }
#define INTS(argument, count, bytes)                                                                         \
    {                                                                                                        \
        .arg = (argument), .size = CALL_SIZE_INT, .limit = (count), .limit_kind = CALL_LIMIT_INT,            \
        .scale = (bytes)                                                                                     \
    }

const struct call_row call_rows[CALL_ROW_COUNT] = {
#define CALL_ROW(name, kind, flags, time, ...) [SYS_##name] = {kind, flags, time, 0, {__VA_ARGS__}},
#include "core/calls/call_rows.def"
#undef CALL_ROW
};
