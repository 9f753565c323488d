// Text for a terminal. Names come from the recorded program: an escape sequence among them must not reach the terminal.
#ifndef REFORK_CORE_PRINTABLE_H
#define REFORK_CORE_PRINTABLE_H

#include <stdio.h>

// Puts '?' for each control character (a tab becomes a blank) and for each byte that is no UTF-8. In place; the length
// stays. Newlines are controls here.
void printable(char *text);

// As fprintf, every line made printable.
void print_clean(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
