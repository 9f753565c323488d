// The content of the files that processes have mapped, each once, under a number that the views of all
// processes of one diagnosis share (view_map.blob).
#ifndef REFORK_REPLAYER_DIAGNOSE_FILES_H
#define REFORK_REPLAYER_DIAGNOSE_FILES_H

#include "core/view.h"

struct file_store;
struct file_store *file_store_new(void);
void file_store_free(struct file_store *f);

// Maps the regular file `path`. The number, or 0 when it is none, is empty or cannot be read.
uint64_t file_store_open(struct file_store *f, const char *path);
// Takes over `size` bytes from malloc as the content of a file. The number.
uint64_t file_store_take(struct file_store *f, void *bytes, size_t size);
const void *file_store_bytes(const struct file_store *f, uint64_t id, size_t *size); // NULL: no such number
bool file_store_is_file(const struct file_store *f, uint64_t id); // not what memory had of one

// Is the file `id` the one that was mapped? Compares what memory has of its first page, with the program
// headers and as a rule the build-id, and the build-id wherever it lies. `start`: where the file's offset 0
// is in memory.
bool file_store_matches(const struct file_store *f, uint64_t id, const struct view *v, uint64_t start);

#endif
