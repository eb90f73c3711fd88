#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The plan as src/measure/plan.ts defines it, with every number bounded and every artifact id resolved. */

enum {
  MAX_PLAN_BYTES = 1 << 20,
  MAX_ARTIFACTS = 64,
  MAX_STEPS = 1024,
  MAX_SENSORS = 64,
  MAX_TENSORS = 1024,
  MAX_RANK = 16,
  MAX_CPUS = 1024,
  MAX_ID = 64,
  MAX_DELEGATE_OPTIONS = 64,
  MAX_METERS = 16,
  MAX_METER_PATHS = 8,
  MAX_METER_WORDS = 16,
};

struct shape {
  size_t rank;
  int64_t dimensions[MAX_RANK];
};

/** `litert` is whichever of its two C APIs the library has (session.h). */
enum backend_kind { BACKEND_ONNXRUNTIME, BACKEND_LITERT };

/** A TFLite delegate; `library` NULL: none. */
struct plan_delegate {
  char *library;
  size_t option_count;
  char **keys, **values;
};

struct plan_artifact {
  char *id, *library, *model;
  enum backend_kind backend;
  struct plan_delegate delegate;
  int threads;
  size_t affinity_count;
  int *affinity;
  bool profile;
  /** Tensor files by input position; none: seeded random inputs. */
  size_t input_count;
  char **inputs;
  /** Shapes by input position; none: the model's own, with 1 for what it leaves open. */
  size_t shape_count;
  struct shape *shapes;
  uint64_t seed;
};

struct bounds {
  int64_t min_count, max_count;
  int64_t min_ns, max_ns;
};

enum step_kind { STEP_WARMUP, STEP_MEASURE, STEP_INTERLEAVE, STEP_INFER, STEP_IDLE };

struct plan_step {
  enum step_kind kind;
  /** Indexes into the plan's artifacts: one, or several to interleave (an artifact may stand there twice). */
  size_t artifact_count;
  size_t artifacts[MAX_ARTIFACTS];
  struct bounds bounds;
  double rate_hz;
  int64_t block;
  size_t input_count, output_count;
  char **inputs, **outputs;
  int64_t count;
  int64_t idle_ns;
  /** Sample the plan's meters and hold its marker at 1 while it runs. */
  bool metered;
};

struct plan_sensor {
  char *name, *path;
};

/** Files that are read one right after another, or a command: exactly one of the two. */
struct plan_meter {
  char *name;
  size_t path_count, word_count;
  char *paths[MAX_METER_PATHS];
  /** argv, closed by NULL. */
  char *words[MAX_METER_WORDS + 1];
  int64_t period_ns;
};

struct plan {
  size_t artifact_count, step_count, sensor_count, meter_count;
  struct plan_artifact artifacts[MAX_ARTIFACTS];
  struct plan_step *steps;
  struct plan_sensor sensors[MAX_SENSORS];
  int64_t sensor_period_ns;
  struct plan_meter meters[MAX_METERS];
  /** NULL: none. */
  char *marker;
};

const char *step_name(enum step_kind kind);

/** Reads a plan file (`-` is standard input); false with one sentence in `message`. It is kept until the process ends. */
bool plan_read(const char *path, struct plan *plan, char *message, size_t message_size);
