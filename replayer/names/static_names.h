// Names for a program that has libc linked in and no symbols (-static, strip -s): a linker copies the sections of a
// static library's members as they are and only fills in addresses. So what is in the program byte for byte, but for
// those places, as in a library of this machine has that library's names.
#ifndef REFORK_REPLAYER_NAMES_STATIC_NAMES_H
#define REFORK_REPLAYER_NAMES_STATIC_NAMES_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#undef EV_NONE // <elf.h>'s invalid version; core/event.h has an enum constant of that name

// Calls `visit` with each function, and each variable that such a function's code leads to: a symbol with its
// link-time address in st_value, and st_size, st_info as in the library. `library` is that one's file name; it and `name`
// live during the call only. Names of one address come in no order. The libraries are libc.a and the like in the usual folders, or the files that
// $REFORK_LIBRARIES names, separated by colons. Finds nothing when the image is no static program's.
typedef void (*static_names_visit)(void *context, const char *library, const char *name,
                                   const Elf64_Sym *symbol);
void static_names(const void *image, size_t size, static_names_visit visit, void *context);

#endif
