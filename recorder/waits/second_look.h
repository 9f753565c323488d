// A second process replays what is recorded so far while the program goes on, and says which waits are for ever by who holds
// what they wait for. The recorder itself sees only who sleeps: with one thread of a process that goes on anything might end
// a wait, but for the holder.
#ifndef REFORK_RECORDER_WAITS_SECOND_LOOK_H
#define REFORK_RECORDER_WAITS_SECOND_LOOK_H

#include "recorder/waits/wait_loop.h"

struct second_look;

// At a turn of the engine: starts a look when a task sleeps for long in a futex call without a time limit, and takes the
// answer of the one that is under way. True: tasks were found to wait for ever (task.judged).
bool second_look_turn(struct recorder *r);
// Is there something to do at a turn? A task that runs alone is stopped for it.
bool second_look_due(const struct recorder *r);
// Is a look under way?
bool second_look_runs(const struct recorder *r);
// No look that is under way, or is to come soon, can say anything of the wait that t is in.
bool second_look_silent(const struct recorder *r, const struct task *t);
// Nobody in the recording could end the wait that t is in, but a handler of its process might: that is asked.
void second_look_alone(struct task *t);
// What was said of the wait that t is in; JUDGED_NOT: nothing.
enum judged second_look_says(const struct task *t);
// Says it of the wait that t is in.
void second_look_judge(struct task *t, enum judged judged);
// A call of t begins; it has returned `ret`: whether the next sleep is the same one, after a signal's handler.
void second_look_call(struct task *t);
void second_look_cut(struct task *t, int64_t ret);
// Ends the look that is under way.
void second_look_end(struct recorder *r);

#endif
