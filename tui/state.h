// What the TUI shows: data only. Who changes what of it: focus.h, layout.h, lanes.h, story.h, find.h, jump.h, model.h.
// One focus (event, task, frame) is shared by all panes: moving in any of them moves it.
#ifndef REFORK_TUI_STATE_H
#define REFORK_TUI_STATE_H

#include "tui/actions.h"
#include "tui/job.h"

enum tui_pane {
    TUI_STORY,
    TUI_LANES,
    TUI_EVENTS,
    TUI_LOCKS,
    TUI_STACK,
    TUI_WAITS,
    TUI_HISTORY,
    TUI_VARIABLES,
    TUI_PANES
};

struct tui_focus {
    uint64_t event; // 0 only in a recording without events
    int tid;
    size_t frame;
};

struct tui_mark {
    struct tui_focus place; // event 0: there is no such mark
    char note[200];         // printable
};

// ---- layout

// A slot shows one of its panes, the one that was used last.
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

// ---- waits
enum tui_wait_sort { TUI_WAIT_WAITER, TUI_WAIT_GHOST, TUI_WAIT_HOLDER, TUI_WAIT_CLOSED, TUI_WAIT_OTHER };
struct tui_wait_row {
    enum tui_wait_sort sort;
    int depth; // what a row waits for stands below it, one deeper
    size_t finding;
    uint64_t event; // 0: the row is not about one
    int tid;
    char text[512];
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

// The order of the processes among the lanes in front, and among the others.
enum tui_lane_sort { TUI_SORT_BIRTH, TUI_SORT_EVENTS, TUI_SORT_END, TUI_SORT_NAME, TUI_SORTS };

enum tui_lane_state { TUI_LANE_ABSENT, TUI_LANE_RAN, TUI_LANE_READY, TUI_LANE_WAITS };

enum tui_verdict_state {
    TUI_VERDICT_HIDDEN, // until the user asks for it
    TUI_VERDICT_PENDING,
    TUI_VERDICT_RUNNING,
    TUI_VERDICT_DONE,
    TUI_VERDICT_FAILED
};
enum tui_prompt {
    TUI_PROMPT_NONE,
    TUI_PROMPT_COMMAND,
    TUI_PROMPT_SEARCH,
    TUI_PROMPT_FILTER,
    TUI_PROMPT_TASKS,
    TUI_PROMPT_NOTE,
    TUI_PROMPT_EXAMINE
};

// What the model asks of whoever drives it, once.
enum tui_request {
    TUI_REQUEST_NONE,
    TUI_REQUEST_QUIT,
    TUI_REQUEST_REDRAW,
    TUI_REQUEST_SUSPEND,
    TUI_REQUEST_EDIT,
    TUI_REQUEST_GDB,
    TUI_REQUEST_MOUSE,
    TUI_REQUEST_DUMP, // to the file named in `request_text`
    // Of two recordings (tui/pair)
    TUI_REQUEST_SIDE,
    TUI_REQUEST_DIFFERENCE_NEXT,
    TUI_REQUEST_DIFFERENCE_PREVIOUS,
};

struct tui_model {
    const struct tui_source *source;
    int cols, rows;
    struct tui_layout layout;
    enum tui_pane pane;       // the active one
    unsigned used[TUI_PANES]; // when each was active last
    unsigned uses;
    bool maximised, help;
    bool times; // milliseconds beside the numbers of events

    // Of two recordings that are shown together: "A" or "B"; NULL: there is one only
    const char *side;
    bool aside;                  // the other one takes the keys
    const uint64_t *differences; // events where the two begin to differ; 0: this one has ended there
    size_t difference_count;

    struct tui_focus focus;
    bool moved;            // by the user: the verdict does not take the focus away any more
    struct tui_focus back; // before the last jump
    struct tui_mark marks[26];
    char marks_path[4096]; // "": they are not kept
    char note_letter;      // of the mark whose note is written

    bool loading;
    struct tui_task *tasks;
    size_t task_count;
    struct tui_lane *lanes;
    size_t lane_count;
    size_t lanes_front; // so many at the front are always shown: the verdict's, or those that pass the filter
    size_t lanes_finding; // the finding that they were put in order for
    bool lanes_folded;
    enum tui_lane_sort lane_sort;
    char lane_filter[64];

    bool opened; // the source, for what re-executes
    enum tui_verdict_state verdict_state;
    const struct verdict *verdict; // of the source
    char verdict_error[1024];
    struct tui_story story;
    size_t story_line;
    size_t finding;
    struct tui_wait_row *waits;
    size_t wait_count, wait_line, waits_top; // waits_top in lines of the screen

    bool lock_known; // the history of the lock: of this one
    int lock_pid;
    uint64_t lock_address;
    struct tui_lock_story *lock_story; // NULL: it could not be made
    char lock_error[1024];
    size_t history_top;

    bool variables_known; // of this place; NULL: they could not be told
    struct tui_place variables_at;
    struct tui_variables *variables;
    char variables_error[1024];
    size_t variable_line, variables_top;
    struct tui_variables *variables_past; // of the place before, which what has changed is marked against
    struct tui_examined examined[TUI_MOST_EXAMINED];
    size_t examined_count;
    bool examined_new; // the last of them is to be chosen when it is there

    struct tui_names *names; // of static variables; NULL: not known
    struct tui_place names_at;
    bool names_known; // of that place, or known that they cannot be told

    struct {           // these bytes are watched
        char name[80]; // "": none are
        int pid;
        uint64_t address, size;
        uint64_t found; // the event whose change was told last
        int wanted;     // 1: the next change is to be found, -1: the one before
    } watch;

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
    int pending;  // 'm', '\'' or '"': waits for its letter
    bool palette; // all commands are listed while nothing is typed
    size_t palette_line, palette_top;
    enum tui_action chosen; // by the palette: to be done now

    char search[256];
    bool searching;
    char filter[256];
    uint64_t *matches; // events that pass the filter
    size_t match_count;

    char message[512];
    bool message_bad;
    struct tui_job job;                     // what was asked for; kind TUI_JOB_NONE: nothing
    void (*give)(void *, struct tui_job *); // hands the job over; NULL: it is carried out at once
    void *give_argument;
    struct rf_error failed; // the source could not be opened: the end

    bool busy;   // searching or filtering, which no other may begin meanwhile
    bool cancel; // ^C or q while busy
    char busy_what[64];
    uint64_t busy_done, busy_total;
    bool (*poll)(void *); // while busy: show progress, take keys; false: stop
    void *poll_argument;

    enum tui_request request;
    char request_text[256];
};

#endif
