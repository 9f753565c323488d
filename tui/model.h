// The model: what the TUI shows, and what each key changes. No curses, no drawing.
// One focus (event, task, frame) is shared by all panes: moving in any of them moves it.
#ifndef REFORK_TUI_MODEL_H
#define REFORK_TUI_MODEL_H

#include "tui/actions.h"
#include "tui/source.h"

enum tui_pane { TUI_STORY, TUI_LANES, TUI_EVENTS, TUI_LOCKS, TUI_STACK, TUI_PANES };

struct tui_focus {
    uint64_t event; // 0 only in a recording without events
    int tid;
    size_t frame;
};

// ---- layout
// A slot
// shows one of its panes, the one that was used last.
struct tui_slot {
    int y, x, h, w; // with the heading line
    unsigned panes; // bit per pane
    enum tui_pane shown;
};
struct tui_layout {
    bool too_small;
    int count;
    struct tui_slot slots[TUI_PANES];
};
#define TUI_MIN_COLS 40
#define TUI_MIN_ROWS 10

// ---- story
enum tui_story_sort {
    TUI_STORY_STUCK,
    TUI_STORY_MADE, // the lock's memory was allocated, the lock initialised
    TUI_STORY_LOCK,
    TUI_STORY_FORK,
    TUI_STORY_WAIT,
    TUI_STORY_ADVICE,
    TUI_STORY_GOOD,
    TUI_STORY_TEXT
};
struct tui_story_line {
    enum tui_story_sort sort;
    size_t finding; // index
    uint64_t event; // 0: the line is not about one
    int tid;
    char text[1280];
    char where[320]; // "function, file.c:12" or ""
};
// Columns for the text of a line in a pane of width w: behind the pointer, the symbol and the event's number.
#define TUI_STORY_INDENT(sort)   ((sort) == TUI_STORY_STUCK || (sort) == TUI_STORY_GOOD ? 4 : 12)
#define TUI_STORY_WIDTH(w, sort) ((w)-TUI_STORY_INDENT(sort))
struct tui_story {
    struct tui_story_line *lines;
    size_t count;
};

// ---- lanes
struct tui_lane {
    bool ghost;
    bool thread;
    size_t task;  // index of the task (of the vanished one for a ghost)
    int tid, pid; // pid: in whose address space it is drawn
    // The spans drawn on it: indices into verdict->spans, by `from`; `reach`: a tree of maxima over their
    // ends.
    size_t *spans;
    uint64_t *reach;
    size_t span_count, leaves;
};

enum tui_lane_state { TUI_LANE_ABSENT, TUI_LANE_RAN, TUI_LANE_READY, TUI_LANE_WAITS };

enum tui_verdict_state { TUI_VERDICT_PENDING, TUI_VERDICT_RUNNING, TUI_VERDICT_DONE, TUI_VERDICT_FAILED };
enum tui_prompt { TUI_PROMPT_NONE, TUI_PROMPT_COMMAND, TUI_PROMPT_SEARCH, TUI_PROMPT_FILTER };

// What the model asks of whoever drives it, once.
enum tui_request {
    TUI_REQUEST_NONE,
    TUI_REQUEST_QUIT,
    TUI_REQUEST_REDRAW,
    TUI_REQUEST_SUSPEND,
    TUI_REQUEST_EDIT,
    TUI_REQUEST_MOUSE,
    TUI_REQUEST_DUMP, // to the file named in `request_text`
};

#define TUI_MAX_FRAMES 64

struct tui_model {
    const struct tui_source *source;
    int cols, rows;
    struct tui_layout layout;
    enum tui_pane pane;       // the active one
    unsigned used[TUI_PANES]; // when each was active last
    unsigned uses;
    bool maximised, help;

    struct tui_focus focus;
    bool moved;            // by the user: the verdict does not take the focus away any more
    struct tui_focus back; // before the last jump
    struct tui_focus marks[26];

    bool loading;
    struct tui_task *tasks;
    size_t task_count;
    struct tui_lane *lanes;
    size_t lane_count;

    enum tui_verdict_state verdict_state;
    const struct verdict *verdict; // of the source
    char verdict_error[1024];
    struct tui_story story;
    size_t story_line;
    size_t finding;

    struct frame frames[TUI_MAX_FRAMES];
    size_t frame_count;
    bool stack_valid; // for stack_event, stack_tid
    uint64_t stack_event;
    int stack_tid;
    char stack_error[1024];

    // Lanes: the window of events [lane_first, lane_first + lane_span).
    double lane_first, lane_span;
    bool lane_whole; // fitted to the whole recording, else to the story
    // First lines shown; kept so that the focus is visible.
    uint64_t events_top;
    size_t story_top, lanes_top, locks_top, help_top;
    size_t lock_line;

    enum tui_prompt prompt;
    char prompt_text[256];
    int pending; // 'm' or '\'': waits for its letter

    char search[256];
    bool searching;
    char filter[256];
    uint64_t *matches; // events that pass the filter
    size_t match_count;

    char message[512];
    bool message_bad;
    bool busy;   // inside a long operation: no other may begin
    bool cancel; // ^C or q while busy
    char busy_what[64];
    uint64_t busy_done, busy_total;
    bool (*poll)(void *); // while busy: show progress, take keys; false: stop
    void *poll_argument;

    enum tui_request request;
    char request_text[256];
};

// Begins at event `start` (0: the end, then where the verdict is). The source must outlive the model.
void tui_model_init(struct tui_model *m, const struct tui_source *source, int cols, int rows, uint64_t start);
void tui_model_release(struct tui_model *m);
void tui_model_resize(struct tui_model *m, int cols, int rows);

// One key. What it asks of the driver is in m->request afterwards (the driver clears it).
void tui_model_key(struct tui_model *m, int key);

// Does one piece of the work that is not needed for painting at once (reading ahead, verdict, stack); true
// while there is more.
bool tui_model_work(struct tui_model *m);

// ---- for the views and the tests
size_t tui_model_task_index(const struct tui_model *m, int tid); // task_count when unknown
// "worker (1235)": start routine, else name.
void tui_task_label(const struct tui_model *m, int tid, char *out, size_t size);
void tui_model_focus(struct tui_model *m, uint64_t event, int tid); // tid 0: the event's
void tui_model_jump(struct tui_model *m, uint64_t event, int tid);  // remembers where it came from
void tui_model_message(struct tui_model *m, bool bad, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void tui_model_pane(struct tui_model *m, enum tui_pane pane); // makes it the active one
void tui_model_action(struct tui_model *m, enum tui_action action);
// Rows of the events pane: all events, or those that pass the filter.
uint64_t tui_event_rows(const struct tui_model *m);
uint64_t tui_event_row(const struct tui_model *m, uint64_t row); // the event in row (from 0)
uint64_t tui_event_row_of(const struct tui_model *m,
                          uint64_t event); // the row of the event or of the first after it
const struct tui_slot *tui_slot_of(const struct tui_model *m, enum tui_pane pane); // NULL: not on the screen
int tui_pane_height(const struct tui_model *m, enum tui_pane pane); // lines for content; at least 1
// The spans held at the focus: indices into verdict->spans, at most `max`; returns their number.
size_t tui_held(const struct tui_model *m, size_t *out, size_t max);
// The lane's span that covers an event of [from, to], the latest; NULL.
const struct held_span *tui_lane_span(const struct tui_model *m, const struct tui_lane *lane, uint64_t from,
                                      uint64_t to);
// What the task of index `task` did in the events [from, to]; behind the last event only what waits goes on.
enum tui_lane_state tui_lane_state(const struct tui_model *m, size_t task, uint64_t from, uint64_t to);
// The finding that says that `tid` waits for ever, NULL; *event: since when.
const struct finding *tui_stuck(const struct tui_model *m, int tid, uint64_t *event);
const char *tui_lock_name(const struct finding_lock *lock, char *buffer, size_t size);

// Parts of the model, each in its own file.
void tui_layout_compute(struct tui_model *m);                       // layout.c
void tui_lanes_build(struct tui_model *m);                          // lanes.c
void tui_lanes_release(struct tui_model *m);                        // lanes.c
void tui_lanes_fit(struct tui_model *m, bool whole);                // lanes.c
bool tui_lanes_action(struct tui_model *m, enum tui_action action); // lanes.c
size_t tui_lane_of_focus(const struct tui_model *m);                // lanes.c
void tui_story_build(struct tui_model *m);                          // story.c
void tui_story_release(struct tui_model *m);                        // story.c
bool tui_story_evidence(
    const struct tui_story_line *line); // story.c: is it about an event that proves something?
// Rows that a line takes when `width` columns are there for its text; *where_row: in which of them `where`
// stands.
int tui_story_rows(const struct tui_story_line *line, int width, int *where_row); // story.c
// Takes the next row of at most `width` bytes off *text, broken at a blank: returns its length, *text moves
// behind it.
int tui_wrap(const char **text, int width);                        // story.c
bool tui_find_action(struct tui_model *m, enum tui_action action); // find.c
void tui_find_key(struct tui_model *m, int key);                   // find.c: a key for the prompt
bool tui_jump_action(struct tui_model *m, enum tui_action action); // jump.c

#endif
