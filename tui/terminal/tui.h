// The TUI's entry points for cli and for what shows recordings among other things.
#ifndef REFORK_TUI_TERMINAL_TUI_H
#define REFORK_TUI_TERMINAL_TUI_H

#include "core/error.h"
#include "tui/pair/pair.h"
#include "tui/source.h"

#include <stdbool.h>
#include <stdint.h>

struct tui_options {
    const char
        *script;      // keys to press without a terminal ("nn:12<Enter>:dump FILE<Enter>"); NULL: interactive
    const char *size; // "80x24": the screen of a script; NULL: 80x24
    bool ascii;       // no character above 126, whatever the locale says
    bool no_colour;   // as $NO_COLOR
    const char *recording;       // its file, for gdb; NULL: it has none
    const char *rr, *rr_options; // which rr gdb's replay is made with; NULL: as configured
    const char *marks;           // the file that marks are kept in; NULL: they are not
    uint64_t start;              // event to begin at; 0: where the verdict is
    bool no_verdict;             // it is hidden until the user asks for it
    bool ends;                   // tui_browse gives the terminal back before it waits for its thread
};

// Runs until the user quits (or the script ends). 0, or -1 with *err (RF_CANNOT: no terminal, one that cannot
// move its cursor, a script with an unknown key, a dump that cannot be written). A SIGTERM or SIGHUP restores
// the terminal and then ends the process by that signal.
int tui_run(const struct tui_source *source, const struct tui_options *options, struct rf_error *err);

// Two recordings together: `options` of the first one say how, the others' own are recording, marks, start and no_verdict.
int tui_run_pair(const struct tui_source *const sources[2], const struct tui_options options[2],
                 const struct tui_pair *pair, struct rf_error *err);

// The same in three steps. Takes over the terminal, or makes the screen of a script:
int tui_open(const struct tui_options *options, struct rf_error *err);
// ... shows a recording until the user quits. `script`: what is left of it, moved behind what was used; NULL: interactive.
int tui_browse(const struct tui_source *source, const struct tui_options *options, const char **script,
               struct rf_error *err);
// ... gives the terminal back; after a SIGTERM or SIGHUP the process ends by that.
void tui_end(const struct tui_options *options);

#endif
