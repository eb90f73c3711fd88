#pragma once

#include <stdint.h>
#include <time.h>

/** CLOCK_MONOTONIC in nanoseconds: the one clock of every event (served by the vDSO, no system call). */
static inline int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/** Seconds to nanoseconds, saturating far below the overflow of sums. */
static inline int64_t seconds_ns(double seconds) {
  return seconds >= 4e9 ? INT64_C(4000000000000000000) : (int64_t)(seconds * 1e9);
}
