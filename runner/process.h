#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "plan.h"

/** Remembers the CPUs this process was given, so that an artifact without affinity gets them back. */
void affinity_remember(void);
/** Pins the calling thread (and threads it creates from now on) for this artifact; false after an error event. */
bool affinity_apply(const struct plan_artifact *artifact);

/**
 * Moves the calling thread off the CPUs that this step's artifacts are pinned to, where there are others: what samples
 * must not take turns with what is measured.
 */
void affinity_beside(const struct plan *plan, const struct plan_step *step);

/** VmRSS of this process in bytes, 0 where the kernel does not say. */
int64_t resident_bytes(void);
/** Emits a `memory` event: VmHWM and VmRSS. */
void emit_memory(void);
