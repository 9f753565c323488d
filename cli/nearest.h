// What may have been meant by a word that is not known.
#ifndef REFORK_CLI_NEAREST_H
#define REFORK_CLI_NEAREST_H

// The name of `list` (ends with NULL) nearest to `word`, NULL when none is near.
const char *cli_nearest(const char *word, const char *const *list);

#endif
