#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ort_api.h"
#include "plan.h"

/** ONNX Runtime behind its C API: libraries, sessions, tensors. Failures are emitted as `error` events where they occur. */

struct library {
  char *path;
  const ort_function *table;
  const char *version;
  ort_env *env;
  ort_allocator *allocator;
  ort_memory_info *memory;
};

struct tensor_info {
  char *name;
  /** 0 where the value is no tensor. */
  int element;
  /** -1 where the model leaves a dimension open (inputs: after binding, none is open). */
  struct shape shape;
};

struct session {
  const struct plan_artifact *plan;
  const struct library *library;
  ort_session *handle;
  size_t input_count, output_count;
  struct tensor_info *inputs, *outputs;
  /** What Run takes: names, and the prepared input values with the bytes they look at. */
  const char **input_names, **output_names;
  ort_value **input_values, **output_values;
  void **input_data;
  int64_t load_ns;
};

/** Opens a runtime library; NULL with code and sentence. The same path twice gives the same library. */
struct library *library_open(const char *path, const char **code, char *message, size_t message_size);

/** Creates a session with its inputs and outputs discovered, no input bound yet. */
bool session_open(struct session *session, const struct plan_artifact *plan, const char *profile_prefix);
void session_close(struct session *session);
/** Ends profiling; the file's name (malloc), or NULL. */
char *session_end_profiling(struct session *session);

/** Makes a tensor value over `data`, which must outlive it. */
ort_value *tensor_over(const struct session *session, const struct tensor_info *info, void *data, size_t bytes);

/**
 * One inference; *ns is the time of the runtime's own Run call and nothing else. Outputs stay in
 * session->output_values until session_drop_outputs, which is not timed.
 */
bool session_run(struct session *session, ort_value *const *inputs, int64_t *ns);
void session_drop_outputs(struct session *session);
/** Bytes of output `index` of the last run, or NULL after an error event. */
const void *session_output(struct session *session, size_t index, size_t *bytes);

/** Bytes of a tensor of this element type and (closed) shape, packed; false beyond 1 GiB or for types without a size. */
bool tensor_bytes(int element, const struct shape *shape, size_t *bytes);
const char *element_name(int element);
