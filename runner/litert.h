#pragma once

#include "session.h"

/** LiteRT behind its own C API (litert_api.h): the CPU accelerator, which is XNNPACK; no delegates. */
extern const struct backend litert_backend;
