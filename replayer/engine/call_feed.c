#include "replayer/engine/call_feed.h"

#include "core/call_code.h"
#include "core/call_rows.h"
#include "core/tracee.h"
#include "replayer/engine/space_maps.h"

void call_feed_install(struct space *s) {
    uint8_t image[CALL_CODE_SIZE];
    const struct call_control control = {.head = CALL_RING};
    const struct space_map *m = space_map_at(s, ANNEX_CALLS);
    if (!m || m->v.start != ANNEX_CALLS || m->v.end - m->v.start != ANNEX_CALLS_SIZE ||
        !call_code_image(image))
        return;
    tracee_write(s->mem_fd, ANNEX_CALLS, image, sizeof image);
    tracee_write(s->mem_fd, CALL_ROWS, call_rows, sizeof call_rows);
    tracee_write(s->mem_fd, CALL_CONTROL, &control, sizeof control);
}
