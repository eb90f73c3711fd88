#pragma once

#include <stddef.h>
#include <stdint.h>

enum { MAX_COMMAND_BYTES = 8192 };

/**
 * Runs argv (looked up in PATH) with nothing to read and keeps what it prints, closed by NUL. Returns its exit status,
 * or −1 where it could not be run (`text` says why) or was ended: by a signal, because it printed more than
 * MAX_COMMAND_BYTES, ran past the deadline (CLOCK_MONOTONIC), or the runner was interrupted. A process group of its own
 * is killed then, children of a shell too.
 */
int command_run(char *const *argv, int64_t deadline_ns, char text[MAX_COMMAND_BYTES + 1]);
