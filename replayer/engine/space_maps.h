// The list of what is mapped in a space, sorted by address. Notes only what the kernel task has been made to do.
#ifndef REFORK_REPLAYER_ENGINE_SPACE_MAPS_H
#define REFORK_REPLAYER_ENGINE_SPACE_MAPS_H

#include "replayer/engine/space.h"

const struct space_map *space_map_at(const struct space *s,
                                     uint64_t address); // NULL: nothing is mapped there
void space_maps_remove(struct space *s, uint64_t start, uint64_t end);
void space_maps_add(struct space *s, struct space_map m); // in place of what was there
// Breakpoints stand only in code that cannot be written: what is in [start, end) now is announced to their client anew.
void space_maps_new_code(struct replay *r, struct space *s, uint64_t start, uint64_t end);
void space_maps_protect(struct replay *r, struct space *s, uint64_t start, uint64_t end, int prot);

#endif
