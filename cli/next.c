#include "cli/next.h"

#include "search/shell_word.h"

#include <stdio.h>
#include <unistd.h>

static void command(const char *words, const char *path, char *const *argv, const char *purpose) {
    fputs(words, stderr);
    if (path) shell_word(stderr, " ", path, true);
    if (argv) fputs(" --", stderr);
    for (; argv && *argv; argv++)
        shell_word(stderr, " ", *argv, true);
    fprintf(stderr, "   # %s\n", purpose);
}

void cli_next_deadlock(const char *path, char *const *argv) {
    if (!isatty(STDERR_FILENO)) return;
    fflush(stdout);
    command("next: refork replay", path, NULL, "see it, step by step");
    if (argv) command("      refork verify", path, argv, "when it is mended: is it?");
}

void cli_next_hunt(char *const *argv, bool wide) {
    if (!isatty(STDERR_FILENO)) return;
    fflush(stdout);
    command(wide ? "next: refork hunt --for 30m" : "next: refork hunt", NULL, argv,
            wide ? "longer, with other orders of the tasks" : "no deadlock in this run: look for a rare one");
}
