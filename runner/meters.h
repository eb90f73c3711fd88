#pragma once

#include "plan.h"

/**
 * Sampling of the plan's meters while a step runs: a thread a meter, on an absolute schedule of its own. A thread of
 * files does nothing but read into memory that is laid out beforehand; another one writes the events once a second, so
 * that neither a slow disk nor the making of JSON delays a sample. Periods that were missed are skipped: the times of
 * the samples tell.
 */

/** Sets the marker and starts sampling. What fails is said by an error event METERS; the step goes on. */
void meters_begin(const struct plan *plan, size_t step);
/** Clears the marker, ends sampling and writes what is left. A command under way is waited for, up to its deadline. */
void meters_end(void);
