// Two recordings of one program in the TUI: two models, stepped in step, with the differences marked in both. No curses.
#ifndef REFORK_TUI_PAIR_PAIR_H
#define REFORK_TUI_PAIR_PAIR_H

#include "tui/screen.h"
#include "tui/state.h"

// A place where they begin to differ, in both.
struct tui_difference {
    uint64_t event[2]; // 0: that recording has ended there
    int tid[2];
    char text[160]; // what differs, without the places
};

enum tui_pair_match { TUI_PAIR_NONE, TUI_PAIR_SAME, TUI_PAIR_LAST };

// What is known of the two together.
struct tui_pair {
    void *context;
    const struct tui_difference *differences;
    size_t count; // 0: they are the same
    // Where the other recording is when recording `side` is at `from`. LAST: the task has no such step there, *to is its last
    // one. NONE: it is not there, *to is left alone. At every key: some microseconds.
    enum tui_pair_match (*match)(void *context, int side, const struct tui_focus *from, struct tui_focus *to);
};

struct tui_pair_view {
    const struct tui_pair *pair;
    struct tui_model *models[2];
    struct tui_screen screens[2];
    uint64_t *events[2]; // of the differences, for the models
    int active;          // takes the keys
    size_t at;           // the difference shown last; pair->count: none
    enum tui_pair_match followed;
    bool beside; // both are on the screen; else the active one
    int cols[2]; // of each
};

// From so many columns on both are on the screen.
#define TUI_PAIR_BESIDE 160

// The models are initialised and outlive the view.
void tui_pair_begin(struct tui_pair_view *v, const struct tui_pair *pair, struct tui_model *a,
                    struct tui_model *b, bool ascii);
void tui_pair_release(struct tui_pair_view *v);
void tui_pair_resize(struct tui_pair_view *v, int cols, int rows); // the models, too
// The other model goes where the active one has gone. `before`: the active focus before the key.
void tui_pair_follow(struct tui_pair_view *v, const struct tui_focus *before);
// What the active model asks of the pair; true: it was that.
bool tui_pair_request(struct tui_pair_view *v);
// A click or the wheel at (y, x): chooses the side there and makes *x a column of it. False: on neither.
bool tui_pair_point(struct tui_pair_view *v, int y, int *x);
void tui_pair_draw(struct tui_pair_view *v, struct tui_screen *s);

#endif
