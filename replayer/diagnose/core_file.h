// A snapshot from a core file.
#ifndef REFORK_REPLAYER_DIAGNOSE_CORE_FILE_H
#define REFORK_REPLAYER_DIAGNOSE_CORE_FILE_H

#include "replayer/diagnose/snapshot.h"

// A core file: hostile input, RF_BAD_TRACE when it is none.
int snapshot_core(const char *path, struct file_store *files, struct snapshot **out, struct rf_error *err);

#endif
