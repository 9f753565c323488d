// Ctrl-C and the like during work that takes long: the work is told and ends in order. There is one keyboard and one
// process, so this state is the process's own, whoever asks.
#ifndef REFORK_SEARCH_INTERRUPT_H
#define REFORK_SEARCH_INTERRUPT_H

enum interrupts {
    INTERRUPT_KEYBOARD, // SIGINT
    INTERRUPT_ALL,      // SIGINT, SIGTERM and SIGHUP
};

// From the first begin to the last end (they nest) these signals do not end refork: they are only remembered. One that
// the caller ignores stays ignored. The first begin forgets what came before.
void interrupt_begin(enum interrupts which);
void interrupt_end(enum interrupts which);
// The number of the signal that came last, also after the last end; 0: none.
int interrupted(void);
// In a forked child: the signals do again what they did before the first begin.
void interrupt_restore(void);

#endif
