// Watchpoints without debug registers: the page of a watched word is protected while the program runs. Each access of the page
// is a fault; the instruction is then stepped with the protection lifted. In a replay no system call of the program reaches the
// kernel, so that nothing but instructions meets the protection.
#ifndef REFORK_REPLAYER_ENGINE_PAGE_WATCH_H
#define REFORK_REPLAYER_ENGINE_PAGE_WATCH_H

#include "replayer/engine/space.h"

#include <sys/user.h>

// The program is about to run: the pages of the words that s->watch_at tells, if they are not protected yet.
void page_watch_protect(struct space *s);
// They have their own protection again, until the next page_watch_protect. For whatever maps, protects or copies memory.
void page_watch_lift(struct space *s);
// The same, if one of them is in [address, address + len): /proc/PID/mem does not write into shared memory that is read-only.
void page_watch_make_way(struct space *s, uint64_t address, size_t len);
// Is this stop a fault of the protection's? *address: what was accessed.
bool page_watch_faulted(const struct space *s, int status, uint64_t *address);
// Which of the words the instruction at regs->rip may access (bits), in one iteration if it is a string instruction. *apart (may be
// NULL): not even in all of its iterations. `address` as above.
uint8_t page_watch_touched(const struct space *s, const struct user_regs_struct *regs, uint64_t address,
                           bool *apart);

#endif
