// Names of C++ functions as a person writes them: for every text that names one.
#ifndef REFORK_REPLAYER_NAMES_SHORT_NAME_H
#define REFORK_REPLAYER_NAMES_SHORT_NAME_H

#include <stdbool.h>
#include <stddef.h>

// Columns of a name within a sentence.
#define SHORT_NAME_COLUMNS 60

// What the standard library's headers have in between goes: "std::__cxx11::basic_string<char, std::char_traits<char>,
// std::allocator<char> >" is "std::string". In place: it gets no longer.
void plain_name(char *name);

// The same, and what makes it wider than so many columns: template arguments are then "<...>", then parameters
// "(...)". What is still too wide stays so.
void short_name(char *name, size_t columns);

// Are these names, as in struct frame, of one function of a source, maybe in two builds? Where a function without external linkage is only
// inlined, compilers tell its name without scope and parameters: "info<int>", elsewhere "void log::info<int>(int const&)".
bool same_function(const char *a, const char *b);

#endif
