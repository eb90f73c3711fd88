#include "tflite.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "delegate.h"
#include "emit.h"
#include "tflite_api.h"
#include "trace.h"

struct library {
  char *path;
  struct tfl_api api;
};

struct tflite_state {
  const struct tfl_api *api;
  tfl_model *model;
  tfl_options *options;
  tfl_interpreter *interpreter;
  tfl_delegate *xnnpack;
  struct delegate delegate;
  struct trace *profile;
  /** What the library said last; the first line of a failure is the one that says why. */
  char said[512];
};

static struct library libraries[MAX_ARTIFACTS];
static size_t library_count;

static const struct library *library_open(const char *path, const char **code, char *message, size_t message_size) {
  for (size_t i = 0; i < library_count; i++)
    if (strcmp(libraries[i].path, path) == 0) return &libraries[i];
  *code = "LIBRARY_OPEN";
  void *handle = library_handle(path, message, message_size);
  if (!handle) return NULL;
  struct library *library = &libraries[library_count];
  struct tfl_api *api = &library->api;
  const char *missing = NULL;
#define TFL_FIND(result, name, ...) *(void **)&api->name = dlsym(handle, "TfLite" #name);
#define TFL_NEED(result, name, ...) TFL_FIND(result, name) if (!api->name && !missing) missing = "TfLite" #name;
  TFL_REQUIRED(TFL_NEED)
  TFL_OPTIONAL(TFL_FIND)
  if (missing)
    return snprintf(message, message_size, "%s: not a library with TFLite's C API: it has no %s", path, missing), NULL;
  library->path = strdup(path);
  if (!library->path) return snprintf(message, message_size, "out of memory"), NULL;
  library_count++;
  return library;
}

static const char *library_version(const char *path, const char **code, char *message, size_t message_size) {
  const struct library *library = library_open(path, code, message, message_size);
  return library ? library->api.Version() : NULL;
}

static struct tflite_state *state_of(const struct session *session) {
  return session->state;
}

static void report(void *user_data, const char *format, va_list arguments) {
  struct tflite_state *state = user_data;
  if (!state->said[0]) vsnprintf(state->said, sizeof state->said, format, arguments);
}

static bool fail(struct session *session, const char *code, const char *what) {
  const char *said = state_of(session)->said;
  return emit_error(code, "%s: %s%s%s", session->plan->id, what, *said ? ": " : "", said), false;
}

static const int elements[] = {
    [TFL_FLOAT32] = ELEMENT_FLOAT32, [TFL_INT32] = ELEMENT_INT32,     [TFL_UINT8] = ELEMENT_UINT8,     [TFL_INT64] = ELEMENT_INT64,
    [TFL_STRING] = ELEMENT_STRING,   [TFL_BOOL] = ELEMENT_BOOL,       [TFL_INT16] = ELEMENT_INT16,     [TFL_INT8] = ELEMENT_INT8,
    [TFL_FLOAT16] = ELEMENT_FLOAT16, [TFL_FLOAT64] = ELEMENT_FLOAT64, [TFL_UINT64] = ELEMENT_UINT64,   [TFL_UINT32] = ELEMENT_UINT32,
    [TFL_UINT16] = ELEMENT_UINT16,   [TFL_INT4] = ELEMENT_INT4,       [TFL_BFLOAT16] = ELEMENT_BFLOAT16,
};
enum { TYPES = sizeof elements / sizeof *elements };

int tflite_element(int type) {
  return type >= 0 && type < TYPES ? elements[type] : ELEMENT_NONE;
}

int tflite_type(int element) {
  for (int type = 0; type < TYPES; type++)
    if (elements[type] == element) return type;
  return TFL_NONE;
}

/** `open_dimensions`: what the file leaves open is -1 instead of the 1 that TFLite puts there. */
static bool describe(struct session *session, const tfl_tensor *tensor, bool open_dimensions, struct tensor_info *info) {
  const struct tfl_api *api = state_of(session)->api;
  int32_t rank = tensor ? api->TensorNumDims(tensor) : -1, signature = 0;
  if (rank < 0 || rank > MAX_RANK) return fail(session, "MODEL_LOAD", "a tensor has no shape that can be held");
  if (!info->name) {
    const char *name = api->TensorName(tensor);
    info->name = strdup(name ? name : "");
    if (!info->name) return fail(session, "OUT_OF_MEMORY", "out of memory");
  }
  info->element = tflite_element(api->TensorType(tensor));
  info->shape.rank = (size_t)rank;
  bool signed_ = open_dimensions && api->OpaqueTensorGetNumDimsSignature && api->OpaqueTensorGetDimSignature &&
                 api->OpaqueTensorGetNumDimsSignature(tensor, &signature) == TFL_OK && signature == rank;
  for (int32_t d = 0; d < rank; d++) {
    int32_t dimension;
    info->shape.dimensions[d] = api->TensorDim(tensor, d);
    if (signed_ && api->OpaqueTensorGetDimSignature(tensor, d, &dimension) == TFL_OK && dimension < 0) info->shape.dimensions[d] = -1;
  }
  return true;
}

static bool describe_all(struct session *session, bool input, size_t *count, struct tensor_info **infos) {
  const struct tflite_state *state = state_of(session);
  int32_t found = input ? state->api->InterpreterGetInputTensorCount(state->interpreter)
                        : state->api->InterpreterGetOutputTensorCount(state->interpreter);
  if (found < 0 || found > MAX_TENSORS) return fail(session, "MODEL_LOAD", "has too many inputs or outputs");
  *infos = calloc((size_t)found + 1, sizeof **infos);
  if (!*infos) return fail(session, "OUT_OF_MEMORY", "out of memory");
  *count = (size_t)found;
  for (int32_t i = 0; i < found; i++) {
    const tfl_tensor *tensor = input ? state->api->InterpreterGetInputTensor(state->interpreter, i)
                                     : state->api->InterpreterGetOutputTensor(state->interpreter, i);
    if (!describe(session, tensor, input, &(*infos)[i])) return false;
  }
  return true;
}

/** XNNPACK runs what it can; what a delegate of the plan takes comes first. */
static bool make_options(struct session *session, const char *profile_prefix) {
  struct tflite_state *state = state_of(session);
  const struct tfl_api *api = state->api;
  const struct plan_artifact *plan = session->plan;
  if (!(state->options = api->InterpreterOptionsCreate())) return fail(session, "OUT_OF_MEMORY", "out of memory");
  api->InterpreterOptionsSetNumThreads(state->options, plan->threads);
  api->InterpreterOptionsSetErrorReporter(state->options, report, state);
  if (profile_prefix) {
    if (!api->InterpreterOptionsSetTelemetryProfiler) return fail(session, "PROFILE_FAILED", "this TFLite library gives no operator times");
    if (!(state->profile = trace_open(profile_prefix)))
      return emit_error("PROFILE_FAILED", "%s: cannot write the profile: %s", plan->id, strerror(errno)), false;
    api->InterpreterOptionsSetTelemetryProfiler(state->options, trace_calls(state->profile));
  }
  if (plan->delegate.library) {
    if (!delegate_open(&state->delegate, plan->id, &plan->delegate)) return false;
    api->InterpreterOptionsAddDelegate(state->options, state->delegate.handle);
  }
  if (api->XNNPackDelegateOptionsDefault && api->XNNPackDelegateCreate && api->XNNPackDelegateDelete) {
    struct tfl_xnnpack_options xnnpack = api->XNNPackDelegateOptionsDefault();
    xnnpack.threads = plan->threads;
    if (!(state->xnnpack = api->XNNPackDelegateCreate(&xnnpack))) return fail(session, "MODEL_LOAD", "XNNPACK makes no delegate");
    api->InterpreterOptionsAddDelegate(state->options, state->xnnpack);
  }
  return true;
}

static bool open(struct session *session, const char *profile_prefix) {
  const char *code;
  char message[1024];
  const struct library *library = library_open(session->plan->library, &code, message, sizeof message);
  if (!library) return emit_error(code, "%s: %s", session->plan->id, message), false;
  struct tflite_state *state = session->state = calloc(1, sizeof *state);
  if (!state) return emit_error("OUT_OF_MEMORY", "%s: out of memory", session->plan->id), false;
  const struct tfl_api *api = state->api = &library->api;
  if (!make_options(session, profile_prefix)) return false;
  int64_t start = now_ns();
  state->model = api->ModelCreateFromFileWithErrorReporter
                     ? api->ModelCreateFromFileWithErrorReporter(session->plan->model, report, state)
                     : api->ModelCreateFromFile(session->plan->model);
  if (!state->model) return fail(session, "MODEL_LOAD", "the model cannot be read");
  state->interpreter = api->InterpreterCreate(state->model, state->options);
  if (!state->interpreter) return fail(session, "MODEL_LOAD", "the interpreter refuses the model");
  session->load_ns = now_ns() - start;
  return describe_all(session, true, &session->input_count, &session->inputs);
}

/** Resizes the inputs that the plan shapes otherwise, and lays out memory: a part of loading. */
static bool prepare(struct session *session) {
  struct tflite_state *state = state_of(session);
  const struct tfl_api *api = state->api;
  int64_t start = now_ns();
  for (size_t i = 0; i < session->input_count; i++) {
    const struct shape *shape = &session->inputs[i].shape;
    int dimensions[MAX_RANK];
    for (size_t d = 0; d < shape->rank; d++) {
      if (shape->dimensions[d] > INT32_MAX) return fail(session, "INPUT_SHAPE", "a dimension is too large");
      dimensions[d] = (int)shape->dimensions[d];
    }
    if (session->inputs[i].resized && api->InterpreterResizeInputTensor(state->interpreter, (int32_t)i, dimensions, (int32_t)shape->rank) != TFL_OK)
      return fail(session, "INPUT_SHAPE", "the interpreter refuses the input's shape");
  }
  if (api->InterpreterAllocateTensors(state->interpreter) != TFL_OK) return fail(session, "MODEL_LOAD", "the interpreter refuses the model");
  session->load_ns += now_ns() - start;
  return describe_all(session, false, &session->output_count, &session->outputs);
}

/** TFLite owns its input tensors: the bytes are copied in before the clock starts, as an application must. */
static bool run(struct session *session, const struct feed *feed, int64_t *ns) {
  struct tflite_state *state = state_of(session);
  const struct tfl_api *api = state->api;
  for (size_t i = 0; i < session->input_count; i++) {
    tfl_tensor *tensor = api->InterpreterGetInputTensor(state->interpreter, (int32_t)i);
    void *data = api->TensorData(tensor);
    if (feed->bytes[i] && (!data || api->TensorByteSize(tensor) != feed->bytes[i]))
      return fail(session, "INPUT_FAILED", "an input has another size than its shape says");
    if (feed->bytes[i]) memcpy(data, feed->data[i], feed->bytes[i]);
  }
  state->said[0] = 0;
  int64_t start = now_ns();
  int status = api->InterpreterInvoke(state->interpreter);
  *ns = now_ns() - start;
  if (state->profile) trace_run(state->profile, start, *ns);
  return status == TFL_OK || fail(session, "RUN_FAILED", "the interpreter failed");
}

static const void *output(struct session *session, size_t index, size_t *bytes) {
  const struct tflite_state *state = state_of(session);
  const tfl_tensor *tensor = state->api->InterpreterGetOutputTensor(state->interpreter, (int32_t)index);
  struct tensor_info *info = &session->outputs[index];
  size_t packed;
  // A dynamic output has its shape only now.
  if (!describe(session, tensor, false, info)) return NULL;
  if (!tensor_bytes(info->element, &info->shape, &packed))
    return emit_error("OUTPUT_FAILED", "%s: output %s has no plain bytes", session->plan->id, info->name), NULL;
  *bytes = state->api->TensorByteSize(tensor);
  const void *data = state->api->TensorData(tensor);
  if (!data && *bytes) return emit_error("OUTPUT_FAILED", "%s: output %s has no bytes", session->plan->id, info->name), NULL;
  return data ? data : "";
}

static char *end_profiling(struct session *session) {
  struct trace *profile = state_of(session)->profile;
  char *file = profile ? trace_end(profile) : NULL;
  if (!file) emit_error("PROFILE_FAILED", "%s: the profile cannot be written", session->plan->id);
  return file;
}

static void describe_delegate(const struct session *session) {
  const struct delegate *delegate = &state_of(session)->delegate;
  if (!delegate->handle) return;
  event_object("delegate");
  event_string("library", delegate->library);
  event_string("version", delegate->version);
  event_object_end();
}

/** Delegates outlive the interpreter that uses them. */
static void close_session(struct session *session) {
  struct tflite_state *state = session->state;
  const struct tfl_api *api = state->api;
  if (state->interpreter) api->InterpreterDelete(state->interpreter);
  if (state->options) api->InterpreterOptionsDelete(state->options);
  if (state->xnnpack) api->XNNPackDelegateDelete(state->xnnpack);
  delegate_close(&state->delegate);
  if (state->model) api->ModelDelete(state->model);
  trace_free(state->profile);
  free(state);
}

const struct backend tflite_backend = {
    .name = "tflite",
    .entry = "TfLiteInterpreterCreate",
    .library_name = "a library with TFLite's C API",
    .library_version = library_version,
    .open = open,
    .prepare = prepare,
    .run = run,
    .output = output,
    .end_profiling = end_profiling,
    .describe = describe_delegate,
    .close = close_session,
};
