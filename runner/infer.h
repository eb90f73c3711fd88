#pragma once

#include "plan.h"
#include "steps.h"

/**
 * Samples through the model, outputs to files; `inferred` says about once a second how far it is, and at the end.
 * False after an error event; an interrupt ends it early with the samples done so far.
 */
bool infer_run(size_t index, const struct plan_step *step, struct runnable *runnable, int64_t *count);
