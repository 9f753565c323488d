// Draws the tour.
#ifndef REFORK_TUI_LEARN_TOUR_VIEW_H
#define REFORK_TUI_LEARN_TOUR_VIEW_H

#include "tui/learn/tour.h"
#include "tui/screen.h"

void tour_draw(struct tour *t, struct tui_screen *s);

#endif
