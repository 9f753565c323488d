#include "search/program_errors.h"

#include "core/error.h"
#include "replayer/engine/replay.h"
#include "search/interrupt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void program_errors(const char *trace, char *out, size_t size) {
    char *text = NULL;
    size_t len = 0;
    *out = 0;
    FILE *to = open_memstream(&text, &len);
    rf_assert(to);
    const struct replay_options options = {.echo_err = to};
    struct replay *replay;
    if (replay_open(trace, &options, &replay, NULL) == 0) {
        while (!interrupted() && replay_step(replay, NULL) > 0)
            continue;
        replay_close(replay);
    }
    fclose(to);
    const char *from = text;
    if (len >= size) {
        from = text + len - size + 1;
        const char *line = strchr(from, '\n');
        if (line && line[1]) from = line + 1;
    }
    snprintf(out, size, "%s", from);
    free(text);
}
