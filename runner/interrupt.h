#pragma once

#include <stdbool.h>
#include <stdint.h>

/** SIGTERM and SIGINT ask for an orderly end once; a second one kills. */
void interrupt_install(void);
bool interrupted(void);

/** Sleeps to an absolute CLOCK_MONOTONIC time; false when interrupted before it. */
bool sleep_until_ns(int64_t due_ns);
