// The user's settings: $XDG_CONFIG_HOME/refork/config, else ~/.config/refork/config. Lines "key = value"; what follows a '#' at
// the beginning of a line is a comment.
#ifndef REFORK_CORE_CONFIG_H
#define REFORK_CORE_CONFIG_H

#include "core/error.h"

struct config {
    char engine[16];      // "refork", "rr" or "auto"; "" when it is not set
    char rr[512];         // the command that rr is
    char rr_options[512]; // of `rr record`
};

// Without a file, or without the right to read it, nothing is set. -1: a line of it is no setting, or it is not a regular file.
int config_read(struct config *out, struct rf_error *err);

#endif
