// The function of a code address of a live process, for the recorder's messages.
#include "search/name_pc.h"

#include "replayer/names/symbols.h"
#include "search/live_view.h"

#include <stdio.h>

void name_pc(int pid, uint64_t pc, char *buffer, size_t size) {
    struct live_view *live = live_view_open(pid);
    struct symbols *symbols = symbols_new();
    *buffer = 0;
    if (symbols) {
        struct frame frame = {0};
        symbols_pc(symbols, live_view_of(live), pc, &frame);
        if (frame.function && frame.module)
            snprintf(buffer, size, "%s of %s", frame.function, frame.module);
        else if (frame.module)
            snprintf(buffer, size, "%s+0x%llx", frame.module, (unsigned long long)frame.module_offset);
        else if (frame.function)
            snprintf(buffer, size, "%s", frame.function);
        symbols_free(symbols);
    }
    live_view_close(live);
}
