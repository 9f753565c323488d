// What is done behind the screen: reading ahead, the verdict, the stack of the focus. What re-executes is asked for as a job
// (tui/job.h); the model goes on with what it has until the answer comes.
#ifndef REFORK_TUI_WORK_H
#define REFORK_TUI_WORK_H

#include "tui/state.h"

// Does one piece of the work; true while there is more that needs no answer first. With `give` set in the model, a job is
// handed over; whoever carried it out calls tui_work_answered then. Without, it is carried out at once.
bool tui_model_work(struct tui_model *m);
void tui_work_answered(struct tui_model *m);
void tui_work_reload(struct tui_model *m); // takes the tasks over from the source

#endif
