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

// Without a file nothing is set. -1: it cannot be read, is not a regular file, or a line of it is no setting.
int config_read(struct config *out, struct rf_error *err);

#endif
