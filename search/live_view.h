// A live process that has stopped, as a view: made from /proc/PID/maps and the files that it names. Nothing here stops or
// changes the process.
#ifndef REFORK_SEARCH_LIVE_VIEW_H
#define REFORK_SEARCH_LIVE_VIEW_H

#include "core/view.h"

struct live_view;

// The view is good as long as the process maps nothing else. The caller closes it.
struct live_view *live_view_open(int pid);
const struct view *live_view_of(const struct live_view *l);
void live_view_close(struct live_view *l);

#endif
