// The version of refork: what `refork --version` says, and what traces and caches are marked with.
#ifndef REFORK_CORE_VERSION_H
#define REFORK_CORE_VERSION_H

#define REFORK_VERSION "0.1.0"

#endif
