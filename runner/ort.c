#include "ort.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "emit.h"

static struct library libraries[MAX_ARTIFACTS];
static size_t library_count;

/** Turns a status into text and releases it; false when there was one. */
static bool succeeded(const ort_function *table, ort_status *status, char *message, size_t message_size) {
  if (!status) return true;
  snprintf(message, message_size, "%s", ORT(table, GetErrorMessage)(status));
  ORT(table, ReleaseStatus)(status);
  return false;
}

struct library *library_open(const char *path, const char **code, char *message, size_t message_size) {
  for (size_t i = 0; i < library_count; i++)
    if (strcmp(libraries[i].path, path) == 0) return &libraries[i];
  *code = "LIBRARY_OPEN";
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) return snprintf(message, message_size, "%s", dlerror()), NULL;
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

/** True when the status is good; else emits an error event about this session. */
static bool ok(const struct session *session, ort_status *status, const char *code) {
  char message[1024];
  if (succeeded(session->library->table, status, message, sizeof message)) return true;
  emit_error(code, "%s: %s", session->plan->id, message);
  return false;
}

static bool create(struct session *session, const char *profile_prefix) {
  const ort_function *table = session->library->table;
  ort_options *options = NULL;
  bool made = ok(session, ORT(table, CreateSessionOptions)(&options), "MODEL_LOAD") &&
              ok(session, ORT(table, SetSessionExecutionMode)(options, ORT_SEQUENTIAL), "MODEL_LOAD") &&
              ok(session, ORT(table, SetSessionGraphOptimizationLevel)(options, ORT_OPTIMIZE_ALL), "MODEL_LOAD") &&
              ok(session, ORT(table, SetIntraOpNumThreads)(options, session->plan->threads), "MODEL_LOAD") &&
              ok(session, ORT(table, SetInterOpNumThreads)(options, 1), "MODEL_LOAD") &&
              (!profile_prefix || ok(session, ORT(table, EnableProfiling)(options, profile_prefix), "MODEL_LOAD"));
  if (made) {
    int64_t start = now_ns();
    made = ok(session, ORT(table, CreateSession)(session->library->env, session->plan->model, options, &session->handle), "MODEL_LOAD");
    session->load_ns = now_ns() - start;
  }
  if (options) ORT(table, ReleaseSessionOptions)(options);
  return made;
}

static bool describe_type(struct session *session, ort_type_info *type, struct tensor_info *info) {
  const ort_function *table = session->library->table;
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
  const struct library *library = session->library;
  ort_type_info *type = NULL;
  char *name = NULL;
  ort_status *status = input ? ORT(library->table, SessionGetInputName)(session->handle, index, library->allocator, &name)
                             : ORT(library->table, SessionGetOutputName)(session->handle, index, library->allocator, &name);
  if (!ok(session, status, "MODEL_LOAD")) return false;
  info->name = strdup(name);
  if (!ok(session, ORT(library->table, AllocatorFree)(library->allocator, name), "MODEL_LOAD") || !info->name) return false;
  status = input ? ORT(library->table, SessionGetInputTypeInfo)(session->handle, index, &type)
                 : ORT(library->table, SessionGetOutputTypeInfo)(session->handle, index, &type);
  if (!ok(session, status, "MODEL_LOAD")) return false;
  bool described = describe_type(session, type, info);
  ORT(library->table, ReleaseTypeInfo)(type);
  return described;
}

static bool describe_all(struct session *session, bool input, size_t count, struct tensor_info **infos, const char ***names, ort_value ***values) {
  if (count > MAX_TENSORS) return emit_error("MODEL_LOAD", "%s: has %zu inputs or outputs", session->plan->id, count), false;
  *infos = calloc(count + 1, sizeof **infos);
  *names = calloc(count + 1, sizeof **names);
  *values = calloc(count + 1, sizeof **values);
  if (!*infos || !*names || !*values) return emit_error("OUT_OF_MEMORY", "%s: out of memory", session->plan->id), false;
  for (size_t i = 0; i < count; i++) {
    if (!describe(session, input, i, &(*infos)[i])) return false;
    (*names)[i] = (*infos)[i].name;
  }
  return true;
}

bool session_open(struct session *session, const struct plan_artifact *plan, const char *profile_prefix) {
  const char *code;
  char message[1024];
  *session = (struct session){.plan = plan};
  session->library = library_open(plan->library, &code, message, sizeof message);
  if (!session->library) return emit_error(code, "%s: %s", plan->id, message), false;
  const ort_function *table = session->library->table;
  if (!create(session, profile_prefix) ||
      !ok(session, ORT(table, SessionGetInputCount)(session->handle, &session->input_count), "MODEL_LOAD") ||
      !ok(session, ORT(table, SessionGetOutputCount)(session->handle, &session->output_count), "MODEL_LOAD") ||
      !describe_all(session, true, session->input_count, &session->inputs, &session->input_names, &session->input_values) ||
      !describe_all(session, false, session->output_count, &session->outputs, &session->output_names, &session->output_values))
    return false;
  session->input_data = calloc(session->input_count + 1, sizeof *session->input_data);
  return session->input_data || (emit_error("OUT_OF_MEMORY", "%s: out of memory", plan->id), false);
}

void session_close(struct session *session) {
  if (!session->handle) return;
  const ort_function *table = session->library->table;
  for (size_t i = 0; i < session->input_count; i++) {
    if (session->input_values[i]) ORT(table, ReleaseValue)(session->input_values[i]);
    free(session->input_data[i]);
    free(session->inputs[i].name);
  }
  for (size_t i = 0; i < session->output_count; i++) free(session->outputs[i].name);
  ORT(table, ReleaseSession)(session->handle);
  free(session->inputs), free(session->outputs);
  free(session->input_names), free(session->output_names);
  free(session->input_values), free(session->output_values), free(session->input_data);
  session->handle = NULL;
}

char *session_end_profiling(struct session *session) {
  const struct library *library = session->library;
  char *file = NULL, *copy = NULL;
  if (!ok(session, ORT(library->table, SessionEndProfiling)(session->handle, library->allocator, &file), "PROFILE_FAILED")) return NULL;
  copy = strdup(file);
  ok(session, ORT(library->table, AllocatorFree)(library->allocator, file), "PROFILE_FAILED");
  return copy;
}

ort_value *tensor_over(const struct session *session, const struct tensor_info *info, void *data, size_t bytes) {
  ort_value *value = NULL;
  ort_status *status = ORT(session->library->table, CreateTensorWithDataAsOrtValue)(
      session->library->memory, data, bytes, info->shape.dimensions, info->shape.rank, info->element, &value);
  return ok(session, status, "INPUT_FAILED") ? value : NULL;
}

bool session_run(struct session *session, ort_value *const *inputs, int64_t *ns) {
  Run_function run = ORT(session->library->table, Run);
  int64_t start = now_ns();
  ort_status *status = run(session->handle, NULL, session->input_names, (const ort_value *const *)inputs, session->input_count,
                           session->output_names, session->output_count, session->output_values);
  *ns = now_ns() - start;
  return ok(session, status, "RUN_FAILED");
}

void session_drop_outputs(struct session *session) {
  for (size_t i = 0; i < session->output_count; i++) {
    if (session->output_values[i]) ORT(session->library->table, ReleaseValue)(session->output_values[i]);
    session->output_values[i] = NULL;
  }
}

const void *session_output(struct session *session, size_t index, size_t *bytes) {
  const ort_function *table = session->library->table;
  ort_value *value = session->output_values[index];
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

static const struct {
  const char *name;
  unsigned bits;
} elements[] = {
    [ORT_FLOAT] = {"float32", 32}, [ORT_UINT8] = {"uint8", 8},   [ORT_INT8] = {"int8", 8},         [ORT_UINT16] = {"uint16", 16},
    [ORT_INT16] = {"int16", 16},   [ORT_INT32] = {"int32", 32},  [ORT_INT64] = {"int64", 64},      [ORT_STRING] = {"string", 0},
    [ORT_BOOL] = {"bool", 8},      [ORT_FLOAT16] = {"float16", 16}, [ORT_DOUBLE] = {"float64", 64}, [ORT_UINT32] = {"uint32", 32},
    [ORT_UINT64] = {"uint64", 64}, [ORT_BFLOAT16] = {"bfloat16", 16}, [ORT_UINT4] = {"uint4", 4},  [ORT_INT4] = {"int4", 4},
};

const char *element_name(int element) {
  size_t known = sizeof elements / sizeof *elements;
  return element > 0 && (size_t)element < known && elements[element].name ? elements[element].name : "other";
}

bool tensor_bytes(int element, const struct shape *shape, size_t *bytes) {
  size_t known = sizeof elements / sizeof *elements;
  if (element <= 0 || (size_t)element >= known || elements[element].bits == 0) return false;
  uint64_t count = 1;
  for (size_t i = 0; i < shape->rank; i++)
    if (shape->dimensions[i] < 0 || __builtin_mul_overflow(count, (uint64_t)shape->dimensions[i], &count) || count > (1u << 30)) return false;
  uint64_t size = (count * elements[element].bits + 7) / 8;
  *bytes = (size_t)size;
  return size <= (1u << 30);
}
