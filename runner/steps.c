#include "steps.h"

#include "clock.h"
#include "emit.h"
#include "infer.h"
#include "interrupt.h"
#include "meters.h"
#include "process.h"

struct step_state {
  size_t index;
  const struct plan_step *step;
  struct runnable *runnables;
  int64_t start_ns, flushed_ns;
};

static bool run_bounded(struct step_state *state, int64_t *count);
static bool run_interleaved(struct step_state *state, int64_t *count);

bool step_run(const struct plan *plan, size_t index, struct runnable *runnables) {
  const struct plan_step *step = &plan->steps[index];
  event_begin("step");
  event_integer("index", (int64_t)index);
  event_string("do", step_name(step->kind));
  if (step->artifact_count == 1) event_string("artifact", plan->artifacts[step->artifacts[0]].id);
  event_end();

  if (step->metered) meters_begin(plan, index);
  struct step_state state = {.index = index, .step = step, .runnables = runnables, .start_ns = now_ns()};
  state.flushed_ns = state.start_ns;
  int64_t count = 0;
  bool ok = true;
  switch (step->kind) {
    case STEP_WARMUP:
    case STEP_MEASURE: ok = run_bounded(&state, &count); break;
    case STEP_INTERLEAVE: ok = run_interleaved(&state, &count); break;
    case STEP_INFER: ok = infer_run(index, step, &runnables[step->artifacts[0]], &count); break;
    case STEP_IDLE: sleep_until_ns(state.start_ns + step->idle_ns); break;
  }
  int64_t elapsed_ns = now_ns() - state.start_ns;
  if (step->metered) meters_end();
  if (!ok) return false;
  if (interrupted()) {
    emit_error("INTERRUPTED", "interrupted in step %zu after %lld inferences", index, (long long)count);
    return false;
  }
  event_begin("done");
  event_integer("step", (int64_t)index);
  event_integer("count", count);
  event_integer("elapsedNs", elapsed_ns);
  event_end();
  emit_memory();
  return true;
}

static void emit_latency(size_t step, struct runnable *runnable) {
  for (size_t from = 0; from < runnable->latency_count; from += MAX_PER_LINE) {
    size_t to = from + MAX_PER_LINE < runnable->latency_count ? from + MAX_PER_LINE : runnable->latency_count;
    event_begin("latency");
    event_integer("step", (int64_t)step);
    event_string("artifact", runnable->session.plan->id);
    event_integer("at", runnable->at_ns[from / MAX_PER_LINE]);
    event_array("ns");
    for (size_t i = from; i < to; i++) event_integer(NULL, runnable->latency_ns[i]);
    event_array_end();
    event_end();
  }
  runnable->latency_count = 0;
}

void emit_first(struct runnable *runnable, int64_t ns) {
  runnable->had_first = true;
  event_begin("first");
  event_string("artifact", runnable->session.plan->id);
  event_integer("ns", ns);
  event_end();
}

static void flush(struct step_state *state) {
  for (size_t i = 0; i < state->step->artifact_count; i++) {
    struct runnable *runnable = &state->runnables[state->step->artifacts[i]];
    if (runnable->latency_count) emit_latency(state->index, runnable);
  }
  state->flushed_ns = now_ns();
}

/** One timed inference, kept; the session's very first goes out apart and is not counted (*counted stays false). */
static bool infer_timed(struct step_state *state, struct runnable *runnable, bool *counted) {
  int64_t ns, at_ns = now_ns();
  bool ok = session_run(&runnable->session, &runnable->session.feed, &ns);
  session_drop_outputs(&runnable->session);
  *counted = ok && runnable->had_first;
  if (!ok) return false;
  if (!runnable->had_first) {
    emit_first(runnable, ns);
    return true;
  }
  if (runnable->latency_count % MAX_PER_LINE == 0) runnable->at_ns[runnable->latency_count / MAX_PER_LINE] = at_ns;
  runnable->latency_ns[runnable->latency_count++] = ns;
  if (runnable->latency_count == MAX_HELD || now_ns() - state->flushed_ns >= FLUSH_PERIOD_NS) flush(state);
  return true;
}

static bool met(const struct bounds *bounds, int64_t count, int64_t elapsed_ns) {
  return count >= bounds->min_count && elapsed_ns >= bounds->min_ns;
}

/** Warm-up and measurement: at least the minima, never past the maxima; an inference under way is finished. */
static bool run_bounded(struct step_state *state, int64_t *count) {
  const struct plan_step *step = state->step;
  struct runnable *runnable = &state->runnables[step->artifacts[0]];
  if (!affinity_apply(runnable->session.plan)) return false;
  bool ok = true;
  int64_t start_ns = state->start_ns;
  for (int64_t due = 0; ok && !interrupted();) {
    int64_t elapsed_ns = now_ns() - start_ns;
    if (runnable->had_first &&
        (*count >= step->bounds.max_count || elapsed_ns >= step->bounds.max_ns || met(&step->bounds, *count, elapsed_ns)))
      break;
    if (step->rate_hz > 0) {
      // Due times are absolute: a late inference is followed at once until the rate is caught up with.
      int64_t due_ns = (int64_t)((double)due / step->rate_hz * 1e9);
      if (due_ns >= step->bounds.max_ns) break;
      if (!sleep_until_ns(start_ns + due_ns)) break;
      due++;
    }
    bool counted;
    ok = infer_timed(state, runnable, &counted);
    *count += counted;
    // The bounds are for what follows the first inference, which may take seconds.
    if (ok && !counted) start_ns = now_ns(), due = 0;
  }
  flush(state);
  return ok;
}

/** What one artifact of an interleaved step has had so far. */
struct share {
  int64_t count, elapsed_ns, per_round;
};

/** Takes turns, whole rounds only, so that every artifact has its blocks under the same conditions. */
static bool run_interleaved(struct step_state *state, int64_t *count) {
  const struct plan_step *step = state->step;
  struct share shares[MAX_ARTIFACTS] = {{0}};
  int64_t block = step->block;
  bool ok = true;
  for (size_t i = 0; i < step->artifact_count; i++) shares[step->artifacts[i]].per_round += block;
  // A round that alone would pass the maximum is shortened to fit it.
  for (size_t i = 0; i < step->artifact_count; i++) {
    int64_t turns = shares[step->artifacts[i]].per_round / step->block, fits = step->bounds.max_count / turns;
    if (fits < block) block = fits < 1 ? 1 : fits;
  }
  for (bool go_on = true; ok && go_on;) {
    for (size_t i = 0; ok && go_on && i < step->artifact_count; i++) {
      struct runnable *runnable = &state->runnables[step->artifacts[i]];
      struct share *share = &shares[step->artifacts[i]];
      ok = affinity_apply(runnable->session.plan);
      int64_t start_ns = now_ns();
      for (int64_t n = 0; ok && go_on && n < block;) {
        bool counted;
        ok = infer_timed(state, runnable, &counted);
        n += counted;
        share->count += counted;
        *count += counted;
        if (ok && !counted) start_ns = now_ns();
        go_on = !interrupted() && share->elapsed_ns + (now_ns() - start_ns) < step->bounds.max_ns;
      }
      share->elapsed_ns += now_ns() - start_ns;
    }
    bool all_met = true;
    for (size_t i = 0; i < step->artifact_count; i++) {
      const struct share *share = &shares[step->artifacts[i]];
      all_met = all_met && met(&step->bounds, share->count, share->elapsed_ns);
      if (share->count + share->per_round / step->block * block > step->bounds.max_count) go_on = false;
    }
    go_on = go_on && !all_met;
  }
  flush(state);
  return ok;
}
