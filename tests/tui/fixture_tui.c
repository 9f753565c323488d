// The TUI over a made-up recording: fixture_tui [--clean|--fails|--heap|--server|--damaged|--long N] [--marks FILE] [--script KEYS] [--size WxH]
// [--ascii] [--no-colour] [--start N] [--pair|--same] [--keys|--roff]
#include "tui/actions.h"
#include "tui/terminal/tui.h"
#include "tests/tui/fixture.h"

#include <getopt.h>

// Two of them in step: an event is the same event in the other one, as far as that one goes.
static enum tui_pair_match match(void *context, int side, const struct tui_focus *from,
                                 struct tui_focus *to) {
    struct fixture *const *both = context;
    const struct tui_source *other = &both[!side]->source;
    uint64_t last = other->last(other->context);
    struct tui_event e;
    bool there = from->event <= last;
    *to = (struct tui_focus){there ? from->event : last, from->tid, 0};
    if (other->event(other->context, to->event, &e)) to->tid = e.tid;
    return there ? TUI_PAIR_SAME : TUI_PAIR_LAST;
}

static int run_pair(struct fixture *a, enum fixture_kind kind, struct tui_options *tui,
                    struct rf_error *err) {
    struct fixture *both[2] = {a, fixture_new(kind, 0)};
    const struct tui_difference differences[] = {
        {{a->acquire, a->acquire},
         {FIXTURE_WORKER, FIXTURE_WORKER},
         "the schedule: another task has its turn"},
        {{a->wait, 0}, {FIXTURE_CHILD, 0}, "the data: task number 3 does something else"},
    };
    struct tui_pair pair = {.context = both,
                            .differences = differences,
                            .count = kind == a->kind ? 0 : sizeof differences / sizeof *differences,
                            .match = match};
    const struct tui_source *const sources[2] = {&both[0]->source, &both[1]->source};
    struct tui_options options[2] = {*tui, *tui};
    options[1].start = 0;
    int result = tui_run_pair(sources, options, &pair, err);
    fixture_free(both[1]);
    return result;
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"clean", no_argument, NULL, 'c'},
        {"fails", no_argument, NULL, 'f'},
        {"heap", no_argument, NULL, 'h'},
        {"server", no_argument, NULL, 'v'},
        {"damaged", no_argument, NULL, 'd'},
        {"marks", required_argument, NULL, 'm'},
        {"long", required_argument, NULL, 'l'},
        {"script", required_argument, NULL, 's'},
        {"size", required_argument, NULL, 'S'},
        {"ascii", no_argument, NULL, 'a'},
        {"no-colour", no_argument, NULL, 'n'},
        {"start", required_argument, NULL, 't'},
        {"pair", no_argument, NULL, 'p'}, // beside it the clean one
        {"same", no_argument, NULL, 'P'}, // beside it itself
        {"keys", no_argument, NULL, 'k'},
        {"roff", no_argument, NULL, 'r'},
        {0},
    };
    struct tui_options tui = {0};
    enum fixture_kind kind = FIXTURE_DEADLOCK;
    uint64_t tail = 0;
    int option, beside = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            kind = FIXTURE_CLEAN;
            break;
        case 'f':
            kind = FIXTURE_FAILS;
            break;
        case 'h':
            kind = FIXTURE_HEAP;
            break;
        case 'v':
            kind = FIXTURE_SERVER;
            break;
        case 'd':
            kind = FIXTURE_DAMAGED;
            break;
        case 'm':
            tui.marks = optarg;
            break;
        case 'l':
            tail = strtoull(optarg, NULL, 10);
            break;
        case 's':
            tui.script = optarg;
            break;
        case 'S':
            tui.size = optarg;
            break;
        case 'a':
            tui.ascii = true;
            break;
        case 'n':
            tui.no_colour = true;
            break;
        case 't':
            tui.start = strtoull(optarg, NULL, 10);
            break;
        case 'p':
        case 'P':
            beside = option;
            break;
        case 'k':
            tui_print_keys(stdout, false);
            return 0;
        case 'r':
            tui_print_keys(stdout, true);
            return 0;
        default:
            return RF_CANNOT;
        }
    }
    struct fixture *f = fixture_new(kind, tail);
    struct rf_error err = {0};
    int result = beside ? run_pair(f, beside == 'P' ? kind : FIXTURE_CLEAN, &tui, &err)
                        : tui_run(&f->source, &tui, &err);
    fixture_free(f);
    if (result) fprintf(stderr, "fixture_tui: %s\n", err.text);
    return result ? err.status : 0;
}
