#include "cli/nearest.h"

#include <stdbool.h>
#include <string.h>

// Edit distance with transpositions (optimal string alignment), over short words.
static int distance(const char *a, const char *b) {
    enum { WORD = 32 };
    int d[WORD + 1][WORD + 1];
    int n = (int)strnlen(a, WORD), m = (int)strnlen(b, WORD);
    for (int i = 0; i <= n; i++)
        d[i][0] = i;
    for (int j = 0; j <= m; j++)
        d[0][j] = j;
    for (int i = 1; i <= n; i++) {
        for (int j = 1; j <= m; j++) {
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[n][m];
}

const char *cli_nearest(const char *word, const char *const *list) {
    const char *best = NULL;
    int best_distance = 3; // further away is another word
    for (; *list; list++) {
        size_t len = strlen(word);
        bool prefix = len >= 3 && !strncmp(word, *list, len);
        int d = prefix ? 0 : distance(word, *list);
        if (d >= best_distance || d >= (int)strlen(*list)) continue;
        best = *list;
        best_distance = d;
    }
    return best;
}
