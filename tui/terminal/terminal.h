// The terminal: curses lives behind these functions only.
#ifndef REFORK_TUI_TERMINAL_TERMINAL_H
#define REFORK_TUI_TERMINAL_TERMINAL_H

#include "core/error.h"
#include "tui/screen.h"

#include <stdio.h>

struct tui_terminal_options {
    bool ascii, no_colour;
    int cols, rows; // 0: a real terminal; else a screen of that size that nobody sees
};

// Takes over the terminal (stdin and stdout): raw mode, stderr kept aside, signals that would leave it broken
// restore it first. One at a time. RF_CANNOT when there is none or when it cannot move its cursor.
int tui_terminal_open(const struct tui_terminal_options *options, struct rf_error *err);
// Gives it back and prints what went to stderr meanwhile. Does nothing when it is not open.
void tui_terminal_close(void);

void tui_terminal_size(int *cols, int *rows);
bool tui_terminal_ascii(void);
void tui_terminal_show(const struct tui_screen *s);
void tui_terminal_redraw(void); // the next show draws every cell

// The next key (enum tui_key; text as UTF-8 bytes), TUI_KEY_NONE after `timeout_ms` (-1: none) or when a
// signal came; a click's place in *y, *x. TUI_KEY_RESIZE: the size changed.
int tui_terminal_key(int timeout_ms, int *y, int *x);
// Ends the wait of tui_terminal_key; from any thread.
void tui_terminal_wake(void);
// The signal that asks for the end (SIGTERM, SIGHUP, SIGINT), 0: none. Also SIGHUP when stdin is gone.
int tui_terminal_signal(void);

void tui_terminal_suspend(void); // to the shell and back
bool tui_terminal_mouse(void);   // turns the mouse on or off; true: it is on now
// Leaves the screen, runs a program in the terminal (argv[0] is its path) and comes back: its status, 128 and the signal that
// ended it, or -1. 127: it could not be run.
int tui_terminal_run(const char *const argv[], struct rf_error *err);
int tui_terminal_edit(const char *file, int line, struct rf_error *err); // $VISUAL, $EDITOR or vi

// What the terminal shows, read back from curses, and below it the plane of roles.
int tui_terminal_dump(const struct tui_screen *s, const char *path, struct rf_error *err);

#endif
