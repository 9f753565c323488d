// Could a lock be released by somebody else than its owner? Looked up in the memory of a live, stopped process.
#ifndef REFORK_SEARCH_OWNER_LOOK_H
#define REFORK_SEARCH_OWNER_LOOK_H

#include "recorder/options.h"

// For record_options.released. BY_OTHERS also when it is not certain what the waits are for. Takes as long as reading the
// symbols of the functions on the stacks does.
enum released owner_look(const struct owner_question *q);

#endif
