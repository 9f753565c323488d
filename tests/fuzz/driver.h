// A target takes bytes and hands them to one reader of refork. It is a libFuzzer target (`make fuzz`: clang) and, with driver.c,
// a program that tries the inputs of a corpus and changes of them (`make test`: any compiler).
#ifndef REFORK_TESTS_FUZZ_DRIVER_H
#define REFORK_TESTS_FUZZ_DRIVER_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A reader refused an input: it must have said why. (Aborts when not.)
struct rf_error;
void fuzz_refused(const struct rf_error *err);

#endif
