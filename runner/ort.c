#include "ort.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "emit.h"
#include "ort_api.h"

struct library {
  char *path;
  const ort_function *table;
  const char *version;
  ort_env *env;
  ort_allocator *allocator;
  ort_memory_info *memory;
};

/** A session's own: what Run takes, names and output values. */
struct ort_state {
  const struct library *library;
  ort_session *handle;
  const char **input_names, **output_names;
  ort_value **output_values;
};

static struct library libraries[MAX_ARTIFACTS];
static size_t library_count;

/** Turns a status into text and releases it; false when there was one. */
static bool succeeded(const ort_function *table, ort_status *status, char *message, size_t message_size) {
  if (!status) return true;
  snprintf(message, message_size, "%s", ORT(table, GetErrorMessage)(status));
  ORT(table, ReleaseStatus)(status);
  return false;
}

static const struct library *library_open(const char *path, const char **code, char *message, size_t message_size) {
  for (size_t i = 0; i < library_count; i++)
    if (strcmp(libraries[i].path, path) == 0) return &libraries[i];
  *code = "LIBRARY_OPEN";
  void *handle = library_handle(path, message, message_size);
  if (!handle) return NULL;
  const struct ort_api_base *(*get_base)(void);
  *(void **)&get_base = dlsym(handle, "OrtGetApiBase");
  if (!get_base) return snprintf(message, message_size, "%s: not an ONNX Runtime library", path), NULL;
  *code = "LIBRARY_VERSION";
  const struct ort_api_base *base = get_base();
  const ort_function *table = base ? base->get_api(ORT_API_VERSION_ASKED) : NULL;
  if (!table)
    return snprintf(message, message_size, "%s: version %s is older than 1.16", path, base ? base->get_version_string() : "?"), NULL;

  struct library *library = &libraries[library_count];
  *library = (struct library){.table = table, .version = base->get_version_string()};
  if (!succeeded(table, ORT(table, CreateEnv)(ORT_LOG_ERROR, "edgewright", &library->env), message, message_size) ||
      !succeeded(table, ORT(table, GetAllocatorWithDefaultOptions)(&library->allocator), message, message_size) ||
      !succeeded(table, ORT(table, CreateCpuMemoryInfo)(ORT_ARENA_ALLOCATOR, ORT_MEMORY_DEFAULT, &library->memory), message, message_size))
    return NULL;
  library->path = strdup(path);
  if (!library->path) return snprintf(message, message_size, "out of memory"), NULL;
  library_count++;
  return library;
}

static const char *library_version(const char *path, const char **code, char *message, size_t message_size) {
  const struct library *library = library_open(path, code, message, message_size);
  return library ? library->version : NULL;
}

static struct ort_state *state_of(const struct session *session) {
  return session->state;
}

static const ort_function *table_of(const struct session *session) {
  return state_of(session)->library->table;
}

/** True when the status is good; else emits an error event about this session. */
static bool ok(const struct session *session, ort_status *status, const char *code) {
  char message[1024];
  if (succeeded(table_of(session), status, message, sizeof message)) return true;
  emit_error(code, "%s: %s", session->plan->id, message);
  return false;
}

static bool create(struct session *session, const char *profile_prefix) {
  const ort_function *table = table_of(session);
  ort_options *options = NULL;
  bool made = ok(session, ORT(table, CreateSessionOptions)(&options), "MODEL_LOAD") &&
              ok(session, ORT(table, SetSessionExecutionMode)(options, ORT_SEQUENTIAL), "MODEL_LOAD") &&
              ok(session, ORT(table, SetSessionGraphOptimizationLevel)(options, ORT_OPTIMIZE_ALL), "MODEL_LOAD") &&
              ok(session, ORT(table, SetIntraOpNumThreads)(options, session->plan->threads), "MODEL_LOAD") &&
              ok(session, ORT(table, SetInterOpNumThreads)(options, 1), "MODEL_LOAD") &&
              (!profile_prefix || ok(session, ORT(table, EnableProfiling)(options, profile_prefix), "MODEL_LOAD"));
  if (made) {
    int64_t start = now_ns();
    made = ok(session, ORT(table, CreateSession)(state_of(session)->library->env, session->plan->model, options, &state_of(session)->handle), "MODEL_LOAD");
    session->load_ns = now_ns() - start;
  }
  if (options) ORT(table, ReleaseSessionOptions)(options);
  return made;
}

static bool describe_type(struct session *session, ort_type_info *type, struct tensor_info *info) {
  const ort_function *table = table_of(session);
  const ort_tensor_info *tensor = NULL;
  if (!ok(session, ORT(table, CastTypeInfoToTensorInfo)(type, &tensor), "MODEL_LOAD")) return false;
  if (!tensor) return true;
  size_t rank = 0;
  if (!ok(session, ORT(table, GetTensorElementType)(tensor, &info->element), "MODEL_LOAD") ||
      !ok(session, ORT(table, GetDimensionsCount)(tensor, &rank), "MODEL_LOAD"))
    return false;
  if (rank > MAX_RANK) return emit_error("MODEL_LOAD", "%s: a tensor has rank %zu", session->plan->id, rank), false;
  info->shape.rank = rank;
  return ok(session, ORT(table, GetDimensions)(tensor, info->shape.dimensions, rank), "MODEL_LOAD");
}

static bool describe(struct session *session, bool input, size_t index, struct tensor_info *info) {
  const struct library *library = state_of(session)->library;
  ort_type_info *type = NULL;
  char *name = NULL;
  ort_status *status = input ? ORT(library->table, SessionGetInputName)(state_of(session)->handle, index, library->allocator, &name)
                             : ORT(library->table, SessionGetOutputName)(state_of(session)->handle, index, library->allocator, &name);
  if (!ok(session, status, "MODEL_LOAD")) return false;
  info->name = strdup(name);
  if (!ok(session, ORT(library->table, AllocatorFree)(library->allocator, name), "MODEL_LOAD") || !info->name) return false;
  status = input ? ORT(library->table, SessionGetInputTypeInfo)(state_of(session)->handle, index, &type)
                 : ORT(library->table, SessionGetOutputTypeInfo)(state_of(session)->handle, index, &type);
  if (!ok(session, status, "MODEL_LOAD")) return false;
  bool described = describe_type(session, type, info);
  ORT(library->table, ReleaseTypeInfo)(type);
  return described;
}

static bool describe_all(struct session *session, bool input, size_t count, struct tensor_info **infos, const char ***names) {
  if (count > MAX_TENSORS) return emit_error("MODEL_LOAD", "%s: has %zu inputs or outputs", session->plan->id, count), false;
  *infos = calloc(count + 1, sizeof **infos);
  *names = calloc(count + 1, sizeof **names);
  if (!*infos || !*names) return emit_error("OUT_OF_MEMORY", "%s: out of memory", session->plan->id), false;
  for (size_t i = 0; i < count; i++) {
    if (!describe(session, input, i, &(*infos)[i])) return false;
    (*names)[i] = (*infos)[i].name;
  }
  return true;
}

static bool open(struct session *session, const char *profile_prefix) {
  const char *code;
  char message[1024];
  struct ort_state *state = session->state = calloc(1, sizeof *state);
  if (!state) return emit_error("OUT_OF_MEMORY", "%s: out of memory", session->plan->id), false;
  state->library = library_open(session->plan->library, &code, message, sizeof message);
  if (!state->library) return emit_error(code, "%s: %s", session->plan->id, message), false;
  const ort_function *table = state->library->table;
  if (!create(session, profile_prefix) ||
      !ok(session, ORT(table, SessionGetInputCount)(state->handle, &session->input_count), "MODEL_LOAD") ||
      !ok(session, ORT(table, SessionGetOutputCount)(state->handle, &session->output_count), "MODEL_LOAD") ||
      !describe_all(session, true, session->input_count, &session->inputs, &state->input_names) ||
      !describe_all(session, false, session->output_count, &session->outputs, &state->output_names))
    return false;
  state->output_values = calloc(session->output_count + 1, sizeof *state->output_values);
  return state->output_values || (emit_error("OUT_OF_MEMORY", "%s: out of memory", session->plan->id), false);
}

static void close_session(struct session *session) {
  struct ort_state *state = session->state;
  if (state->handle) ORT(state->library->table, ReleaseSession)(state->handle);
  free(state->input_names), free(state->output_names), free(state->output_values);
  free(state);
}

static char *end_profiling(struct session *session) {
  const struct library *library = state_of(session)->library;
  char *file = NULL, *copy = NULL;
  if (!ok(session, ORT(library->table, SessionEndProfiling)(state_of(session)->handle, library->allocator, &file), "PROFILE_FAILED")) return NULL;
  copy = strdup(file);
  ok(session, ORT(library->table, AllocatorFree)(library->allocator, file), "PROFILE_FAILED");
  return copy;
}

static bool feed_value(struct session *session, struct feed *feed, size_t index) {
  const struct tensor_info *info = &session->inputs[index];
  ort_value *value = NULL;
  ort_status *status = ORT(table_of(session), CreateTensorWithDataAsOrtValue)(
      state_of(session)->library->memory, feed->data[index], feed->bytes[index], info->shape.dimensions, info->shape.rank, info->element, &value);
  feed->values[index] = value;
  return ok(session, status, "INPUT_FAILED");
}

static void unfeed(struct session *session, struct feed *feed, size_t index) {
  ORT(table_of(session), ReleaseValue)(feed->values[index]);
}

static bool run(struct session *session, const struct feed *feed, int64_t *ns) {
  struct ort_state *state = session->state;
  Run_function infer = ORT(state->library->table, Run);
  int64_t start = now_ns();
  ort_status *status = infer(state->handle, NULL, state->input_names, (const ort_value *const *)feed->values, session->input_count,
                             state->output_names, session->output_count, state->output_values);
  *ns = now_ns() - start;
  return ok(session, status, "RUN_FAILED");
}

static void drop_outputs(struct session *session) {
  ort_value **values = state_of(session)->output_values;
  for (size_t i = 0; i < session->output_count; i++) {
    if (values[i]) ORT(table_of(session), ReleaseValue)(values[i]);
    values[i] = NULL;
  }
}

static const void *output(struct session *session, size_t index, size_t *bytes) {
  const ort_function *table = table_of(session);
  ort_value *value = state_of(session)->output_values[index];
  ort_tensor_info *info = NULL;
  void *data = NULL;
  int is_tensor = 0, element = 0;
  size_t count = 0;
  // An optional output may come back empty; a sequence or map has no bytes.
  if (value && !ok(session, ORT(table, IsTensor)(value, &is_tensor), "OUTPUT_FAILED")) return NULL;
  if (!is_tensor)
    return emit_error("OUTPUT_FAILED", "%s: output %s is no tensor", session->plan->id, session->outputs[index].name), NULL;
  if (!ok(session, ORT(table, GetTensorTypeAndShape)(value, &info), "OUTPUT_FAILED")) return NULL;
  bool known = ok(session, ORT(table, GetTensorElementType)(info, &element), "OUTPUT_FAILED") &&
               ok(session, ORT(table, GetTensorShapeElementCount)(info, &count), "OUTPUT_FAILED");
  ORT(table, ReleaseTensorTypeAndShapeInfo)(info);
  struct shape flat = {.rank = 1, .dimensions = {(int64_t)count}};
  if (!known) return NULL;
  if (!tensor_bytes(element, &flat, bytes))
    return emit_error("OUTPUT_FAILED", "%s: output %s has no plain bytes", session->plan->id, session->outputs[index].name), NULL;
  return ok(session, ORT(table, GetTensorMutableData)(value, &data), "OUTPUT_FAILED") ? data : NULL;
}

const struct backend ort_backend = {
    .name = "onnxruntime",
    .entry = "OrtGetApiBase",
    .library_name = "an ONNX Runtime library",
    .library_version = library_version,
    .open = open,
    .feed = feed_value,
    .unfeed = unfeed,
    .run = run,
    .drop_outputs = drop_outputs,
    .output = output,
    .end_profiling = end_profiling,
    .close = close_session,
};
