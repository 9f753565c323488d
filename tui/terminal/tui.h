// The TUI's one entry point for cli.
#ifndef REFORK_TUI_TERMINAL_TUI_H
#define REFORK_TUI_TERMINAL_TUI_H

#include "core/error.h"
#include "tui/source.h"

#include <stdbool.h>
#include <stdint.h>

struct tui_options {
    const char
        *script;      // keys to press without a terminal ("nn:12<Enter>:dump FILE<Enter>"); NULL: interactive
    const char *size; // "80x24": the screen of a script; NULL: 80x24
    bool ascii;       // no character above 126, whatever the locale says
    bool no_colour;   // as $NO_COLOR
    const char *recording; // its file, for gdb; NULL: it has none
    const char *marks;     // the file that marks are kept in; NULL: they are not
    uint64_t start;        // event to begin at; 0: where the verdict is
};

// Runs until the user quits (or the script ends). 0, or -1 with *err (RF_CANNOT: no terminal, one that cannot
// move its cursor, a script with an unknown key, a dump that cannot be written). A SIGTERM or SIGHUP restores
// the terminal and then ends the process by that signal.
int tui_run(const struct tui_source *source, const struct tui_options *options, struct rf_error *err);

#endif
