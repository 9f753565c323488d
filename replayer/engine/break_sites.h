// Breakpoints where the code is not the file's: under the stubs of loops and of a search for a state.
#ifndef REFORK_REPLAYER_ENGINE_BREAK_SITES_H
#define REFORK_REPLAYER_ENGINE_BREAK_SITES_H

#include "core/loop_site.h"
#include "replayer/engine/space.h"

// May a breakpoint stand there: code of the program that it cannot write?
bool break_sites_may_plant(const struct space *s, uint64_t address);
// The loop's site whose patch is over the address now; NULL.
const struct loop_site *break_sites_over(const struct space *s, uint64_t address);
// Puts into the stub at `base` the copies of the breakpoints that are under the site's patch.
void break_sites_copy(struct space *s, const struct loop_site *site, uint64_t base, uint8_t flags);
// Is there a breakpoint in the bytes that complete the jump of the site's patch?
bool break_sites_in_jump(const struct space *s, const struct loop_site *site);
// Breakpoints have come or gone: where one is in such bytes an int3 takes the jump's place.
void break_sites_bridge(struct space *s);
// Does a task that stands at `pc` go on at the stub instead? Then *pc is there.
bool break_sites_cross(const struct space *s, unsigned long long *pc);
// A loop's site that a PATCH event may follow; that event.
void break_sites_add(struct space *s, const struct loop_site *site);
void break_sites_patched(struct space *s);
// A search patches [address, address + len), with (site not NULL) a comparing stub whose displaced instructions begin
// at offset `displaced`: takes breakpoints out there and puts them into the stub, which is in memory already.
void break_sites_search(struct space *s, const struct loop_site *site, uint64_t address, size_t len,
                        size_t displaced);
void break_sites_search_again(struct space *s, const struct loop_site *site); // the stub was written anew
void break_sites_searched(struct space *s, const struct loop_site *site, uint64_t address, size_t len);

#endif
