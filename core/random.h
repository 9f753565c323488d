// Numbers that look random and come again from the same seed.
#ifndef REFORK_CORE_RANDOM_H
#define REFORK_CORE_RANDOM_H

#include <stdint.h>

// SplitMix64 (Steele, Lea, Flood 2014): any seed is a good seed.
uint64_t random_next(uint64_t *state);

#endif
