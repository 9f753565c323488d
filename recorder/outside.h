// What reaches refork itself from outside: the timer's ticks, Ctrl-C, SIGTERM and SIGHUP.
#ifndef REFORK_RECORDER_OUTSIDE_H
#define REFORK_RECORDER_OUTSIDE_H

#include <stdbool.h>

enum { TICK_US = 4000 };

// Handlers and timer, in and out again.
void outside_listen(bool listen);
// Ticks of the timer so far: one in 4 ms, which breaks a wait for a stop.
unsigned outside_ticks(void);
// Stops the timer, or starts it again.
void outside_timer(bool on);
// The next tick comes after so long, those behind it as always.
void outside_tick_in(long us);
// How often Ctrl-C has been pressed at the terminal. The program has it too: same terminal, same process group.
unsigned outside_interrupts(void);
// A signal that somebody has sent to refork (SIGINT and SIGQUIT too, if they are not the terminal's), 0: none. It is told of
// once.
int outside_asked(void);

// A task of the recording is about to send `sig` to a process group that refork is in as well: that one is not for refork.
// 0: it has been sent.
void outside_expect(int sig);

#endif
