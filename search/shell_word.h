// Words of a command line that a report shows.
#ifndef REFORK_SEARCH_SHELL_WORD_H
#define REFORK_SEARCH_SHELL_WORD_H

#include <stdbool.h>
#include <stdio.h>

// `before`, then `word` as the shell reads it, made printable; `bare`: without quotes when it needs none.
void shell_word(FILE *out, const char *before, const char *word, bool bare);

#endif
