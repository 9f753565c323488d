// Names as Rust mangles them.
#ifndef REFORK_REPLAYER_NAMES_SYMBOLS_RUST_H
#define REFORK_REPLAYER_NAMES_SYMBOLS_RUST_H

#include <stdbool.h>
#include <stddef.h>

// The path of a Rust name, of v0 or the older mangling; false: it is none, or has something that is not known.
bool symbol_demangle_rust(const char *mangled, char *out, size_t size);

#endif
