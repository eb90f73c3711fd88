#pragma once

#include "session.h"
#include "plan.h"

/** Samples held per artifact before they must be written: half a megabyte. */
enum { MAX_HELD = 65536, MAX_PER_LINE = 2048 };

/** Samples are written at most this often, and only between inferences: a killed run loses no more than this. */
#define FLUSH_PERIOD_NS INT64_C(1000000000)

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

/** Says what a session's very first inference took, in whatever step it fell. */
void emit_first(struct runnable *runnable, int64_t ns);
