#pragma once

#include "ort.h"
#include "plan.h"

/** Samples held per artifact before they must be written: half a megabyte. */
enum { MAX_HELD = 65536, MAX_PER_LINE = 2048 };

/** A session with what has been measured on it and not yet emitted. */
struct runnable {
  struct session session;
  bool open, had_first;
  /** Raw latencies of the step under way; `at_ns` is the start of each line's first one. */
  int64_t *latency_ns;
  size_t latency_count;
  int64_t at_ns[MAX_HELD / MAX_PER_LINE];
};

/** Runs one step; false after an error event (an interrupt is one). */
bool step_run(const struct plan *plan, size_t index, struct runnable *runnables);
