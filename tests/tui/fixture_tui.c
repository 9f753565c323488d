// The TUI over a made-up recording: fixture_tui [--clean|--fails|--heap|--server|--damaged|--long N] [--marks FILE] [--script KEYS] [--size WxH]
// [--ascii] [--no-colour] [--start N] [--keys|--roff]
#include "tui/actions.h"
#include "tui/terminal/tui.h"
#include "tests/tui/fixture.h"

#include <getopt.h>

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
        {"keys", no_argument, NULL, 'k'},
        {"roff", no_argument, NULL, 'r'},
        {0},
    };
    struct tui_options tui = {0};
    enum fixture_kind kind = FIXTURE_DEADLOCK;
    uint64_t tail = 0;
    int option;
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
    int result = tui_run(&f->source, &tui, &err);
    fixture_free(f);
    if (result) fprintf(stderr, "fixture_tui: %s\n", err.text);
    return result ? err.status : 0;
}
