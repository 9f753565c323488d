// The code behind CALL_ENTRY (core/calls/call_page.h).
#ifndef REFORK_CORE_CALLS_CALL_CODE_H
#define REFORK_CORE_CALLS_CALL_CODE_H

#include "core/calls/call_page.h"

// The bytes for ANNEX_CALLS. false: there is more code than room.
bool call_code_image(uint8_t image[CALL_CODE_SIZE]);

#endif
