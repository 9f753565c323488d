// Calls that the recorder answers itself, or changes on their way to the kernel, because of what they would do to the recording.
#ifndef REFORK_RECORDER_ANSWERS_H
#define REFORK_RECORDER_ANSWERS_H

#include "recorder/state.h"
#include "recorder/task.h"

struct own_answer {
    int64_t result;
    uint64_t address; // what the call writes, if size is not 0
    size_t size;
    char bytes[8];
};
// True: the call at whose entry t is is not made, *a is its answer.
bool own_answer(struct task *t, struct own_answer *a);
// vmsplice from a pipe writes memory, vmsplice into one reads it: only the second is recorded, and the arguments do not tell.
bool pages_from_pipe(const struct task *t);
// Changes the call that t is about to make where the kernel must do it in another way; the program sees its own arguments again
// at the exit.
void change_call(struct task *t, struct user_regs_struct *regs);
// What personality(2), which returned `ret`, returns to the program.
int64_t personality_told(struct task *t, int64_t ret);
// At its exit.
void call_changed_back(const struct task *t);
// Puts the flags of a clone3 of t back that change_call has changed, in the memory of `in`: t or the child.
void clone3_as_it_was(const struct task *t, const struct task *in);

#endif
