#pragma once

#include "plan.h"

/**
 * Samples the plan's sensor files from a thread of its own, one `sensor` event a file and period. A file that
 * cannot be read or holds no number gives none: the host sees that its samples are missing.
 */
void sensors_start(const struct plan *plan);
void sensors_stop(void);
