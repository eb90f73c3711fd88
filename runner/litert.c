#define _GNU_SOURCE
#include "litert.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "emit.h"
#include "litert_api.h"
#include "tflite.h"

struct library {
  char *path;
  struct litert_api api;
  litert_environment *environment;
};

struct litert_state {
  const struct library *library;
  /** The model's file, mapped: LiteRT's own reading of a file dies of SIGBUS where it is cut short. */
  void *bytes;
  size_t byte_count;
  litert_model *model;
  litert_compiled *compiled;
  litert_signature *signature;
  /** By the signature's numbers, which need not be the file's: the place of each input and output there. */
  size_t *input_places, *output_places;
  /** By the signature's numbers. */
  litert_buffer **inputs, **outputs;
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
  struct litert_api *api = &library->api;
  const char *missing = NULL;
#define LITERT_FIND(result, name, ...) \
  *(void **)&api->name = dlsym(handle, "LiteRt" #name); \
  if (!api->name && !missing) missing = "LiteRt" #name;
  LITERT_FUNCTIONS(LITERT_FIND)
  if (!dlsym(handle, litert_backend.entry)) return snprintf(message, message_size, "%s: not a LiteRT library", path), NULL;
  *code = "LIBRARY_VERSION";
  if (!dlsym(handle, LITERT_MARK)) return snprintf(message, message_size, "%s: this LiteRT is older than 2.3", path), NULL;
  if (missing) return snprintf(message, message_size, "%s: this LiteRT has no %s", path, missing), NULL;
  const struct litert_environment_option options[] = {
      {LITERT_OPTION_ACCELERATORS, {LITERT_ANY_INTEGER, LITERT_CPU}},
      {LITERT_OPTION_LOG_SEVERITY, {LITERT_ANY_INTEGER, LITERT_LOG_WARNING}},
  };
  int status = api->CreateEnvironment(sizeof options / sizeof *options, options, &library->environment);
  if (status != LITERT_OK) return snprintf(message, message_size, "%s: no environment: status %d", path, status), NULL;
  library->path = strdup(path);
  if (!library->path) return snprintf(message, message_size, "out of memory"), NULL;
  library_count++;
  return library;
}

static const char *library_version(const char *path, const char **code, char *message, size_t message_size) {
  const struct library *library = library_open(path, code, message, message_size);
  return library ? "2.3 or later" : NULL;
}

static struct litert_state *state_of(const struct session *session) {
  return session->state;
}

/** True where all went well; else an error event. LiteRT writes why to standard error. */
static bool ok(const struct session *session, int status, const char *code, const char *what) {
  return status == LITERT_OK || (emit_error(code, "%s: %s (LiteRT status %d)", session->plan->id, what, status), false);
}

static void *room(const struct session *session, size_t count, size_t size) {
  void *made = calloc(count + 1, size);
  if (!made) emit_error("OUT_OF_MEMORY", "%s: out of memory", session->plan->id);
  return made;
}

static bool add_threads(struct session *session, litert_options *options) {
  const struct litert_api *api = &state_of(session)->library->api;
  litert_opaque *opaque = NULL;
  char *text = room(session, 64, 1);
  if (!text) return false;
  snprintf(text, 64, "num_threads = %d\n", session->plan->threads);
  if (!ok(session, api->CreateOpaqueOptions("xnnpack", text, free, &opaque), "MODEL_LOAD", "the thread count is refused")) return free(text), false;
  return ok(session, api->AddOpaqueOptions(options, opaque), "MODEL_LOAD", "the thread count is refused");
}

static bool map_model(struct session *session) {
  struct litert_state *state = state_of(session);
  const char *path = session->plan->model;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
  void *bytes = size < 0 ? MAP_FAILED : mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (bytes == MAP_FAILED) emit_error("MODEL_LOAD", "%s: cannot read %s: %s", session->plan->id, path, strerror(errno));
  else state->bytes = bytes, state->byte_count = (size_t)size;
  if (fd >= 0) close(fd);
  return bytes != MAP_FAILED;
}

static bool compile(struct session *session) {
  struct litert_state *state = state_of(session);
  const struct litert_api *api = &state->library->api;
  litert_options *options = NULL;
  bool made = ok(session, api->CreateOptions(&options), "MODEL_LOAD", "no options") &&
              ok(session, api->SetOptionsHardwareAccelerators(options, LITERT_CPU), "MODEL_LOAD", "the CPU is refused") &&
              add_threads(session, options);
  if (made) {
    int64_t start = now_ns();
    made = map_model(session) &&
           ok(session, api->CreateModelFromBuffer(state->library->environment, state->bytes, state->byte_count, &state->model), "MODEL_LOAD", "the model cannot be read") &&
           ok(session, api->CreateCompiledModel(state->library->environment, state->model, options, &state->compiled), "MODEL_LOAD", "LiteRT refuses the model");
    session->load_ns = now_ns() - start;
  }
  if (options) api->DestroyOptions(options);
  return made;
}

static bool describe(struct session *session, litert_tensor *tensor, struct tensor_info *info) {
  const struct litert_api *api = &state_of(session)->library->api;
  const char *name = NULL;
  struct litert_type type = {0};
  if (!ok(session, api->GetTensorName(tensor, &name), "MODEL_LOAD", "a tensor has no name")) return false;
  if (!(info->name = strdup(name ? name : ""))) return emit_error("OUT_OF_MEMORY", "%s: out of memory", session->plan->id), false;
  // An unranked tensor stays without an element type.
  if (api->GetRankedTensorType(tensor, &type) != LITERT_OK || type.layout.rank > LITERT_MAX_RANK) return true;
  info->element = tflite_element(type.element);
  info->shape.rank = type.layout.rank;
  for (size_t d = 0; d < info->shape.rank; d++) info->shape.dimensions[d] = type.layout.dimensions[d] < 0 ? -1 : type.layout.dimensions[d];
  return true;
}

/** Describes in the file's order, and finds each of the signature's tensors there. */
static bool describe_all(struct session *session, bool input, size_t *count, struct tensor_info **infos, size_t **places) {
  const struct litert_state *state = state_of(session);
  const struct litert_api *api = &state->library->api;
  litert_subgraph *subgraph = NULL;
  size_t in_signature = 0, in_file = 0;
  if (!ok(session, api->GetSignatureSubgraph(state->signature, &subgraph), "MODEL_LOAD", "the signature has no graph") ||
      !ok(session, input ? api->GetNumSignatureInputs(state->signature, &in_signature) : api->GetNumSignatureOutputs(state->signature, &in_signature),
          "MODEL_LOAD", "the signature cannot be read") ||
      !ok(session, input ? api->GetNumSubgraphInputs(subgraph, &in_file) : api->GetNumSubgraphOutputs(subgraph, &in_file), "MODEL_LOAD", "the graph cannot be read"))
    return false;
  if (in_signature != in_file || in_file > MAX_TENSORS)
    return emit_error("MODEL_LOAD", "%s: the signature has %zu tensors, the graph %zu", session->plan->id, in_signature, in_file), false;
  litert_tensor **tensors = room(session, in_file, sizeof *tensors);
  *infos = room(session, in_file, sizeof **infos);
  *places = room(session, in_file, sizeof **places);
  bool made = tensors && *infos && *places;
  if (made) *count = in_file;
  for (size_t i = 0; made && i < in_file; i++)
    made = ok(session, input ? api->GetSubgraphInput(subgraph, i, &tensors[i]) : api->GetSubgraphOutput(subgraph, i, &tensors[i]), "MODEL_LOAD", "the graph cannot be read") &&
           describe(session, tensors[i], &(*infos)[i]);
  for (size_t i = 0; made && i < in_signature; i++) {
    litert_tensor *tensor = NULL;
    made = ok(session, input ? api->GetSignatureInputTensorByIndex(state->signature, i, &tensor) : api->GetSignatureOutputTensorByIndex(state->signature, i, &tensor),
              "MODEL_LOAD", "the signature cannot be read");
    size_t place = 0;
    while (made && place < in_file && tensors[place] != tensor) place++;
    if (made && place == in_file) made = (emit_error("MODEL_LOAD", "%s: the signature names a tensor that is none of the graph's", session->plan->id), false);
    if (made) (*places)[i] = place;
  }
  free(tensors);
  return made;
}

static bool open_session(struct session *session, const char *profile_prefix) {
  const char *code;
  char message[1024];
  const struct library *library = library_open(session->plan->library, &code, message, sizeof message);
  if (!library) return emit_error(code, "%s: %s", session->plan->id, message), false;
  if (profile_prefix) return emit_error("PROFILE_FAILED", "%s: operator times need a library with TFLite's C API", session->plan->id), false;
  if (session->plan->delegate.library)
    return emit_error("DELEGATE_FAILED", "%s: a delegate needs a library with TFLite's C API, such as libtensorflowlite_c.so", session->plan->id), false;
  struct litert_state *state = session->state = room(session, 1, sizeof *state);
  if (!state) return false;
  state->library = library;
  return compile(session) && ok(session, library->api.GetModelSignature(state->model, 0, &state->signature), "MODEL_LOAD", "the model has no signature") &&
         describe_all(session, true, &session->input_count, &session->inputs, &state->input_places) &&
         describe_all(session, false, &session->output_count, &session->outputs, &state->output_places);
}

static bool make_buffer(struct session *session, bool input, size_t index, const struct tensor_info *info, litert_buffer **buffer) {
  const struct litert_state *state = state_of(session);
  const struct litert_api *api = &state->library->api;
  litert_requirements *requirements = NULL;
  struct litert_type type = {.element = tflite_type(info->element), .layout = {.rank = (unsigned)info->shape.rank & 0x7f}};
  for (size_t d = 0; d < info->shape.rank && d < LITERT_MAX_RANK; d++) type.layout.dimensions[d] = (int32_t)info->shape.dimensions[d];
  return ok(session, input ? api->GetCompiledModelInputBufferRequirements(state->compiled, 0, index, &requirements)
                           : api->GetCompiledModelOutputBufferRequirements(state->compiled, 0, index, &requirements), "MODEL_LOAD", "no room for a tensor") &&
         ok(session, api->CreateManagedTensorBufferFromRequirements(state->library->environment, &type, requirements, buffer), "MODEL_LOAD", "no room for a tensor");
}

static bool resize(struct session *session, size_t index, const struct shape *shape) {
  const struct litert_state *state = state_of(session);
  int dimensions[MAX_RANK];
  for (size_t d = 0; d < shape->rank; d++) {
    if (shape->dimensions[d] > INT32_MAX) return emit_error("INPUT_SHAPE", "%s: a dimension is too large", session->plan->id), false;
    dimensions[d] = (int)shape->dimensions[d];
  }
  return ok(session, state->library->api.CompiledModelResizeInputTensor(state->compiled, 0, index, dimensions, shape->rank), "INPUT_SHAPE", "LiteRT refuses the input's shape");
}

/** Resizes what the file leaves open, then makes the buffers that inputs and outputs live in. */
static bool prepare(struct session *session) {
  struct litert_state *state = state_of(session);
  const struct litert_api *api = &state->library->api;
  state->inputs = room(session, session->input_count, sizeof *state->inputs);
  state->outputs = room(session, session->output_count, sizeof *state->outputs);
  struct litert_layout *layouts = room(session, session->output_count, sizeof *layouts);
  bool made = state->inputs && state->outputs && layouts;
  int64_t start = now_ns();
  for (size_t i = 0; made && i < session->input_count; i++) {
    const struct tensor_info *info = &session->inputs[state->input_places[i]];
    size_t bytes;
    if (!tensor_bytes(info->element, &info->shape, &bytes))
      made = (emit_error("INPUT_UNSUPPORTED", "%s: input %s is %s or larger than 1 GiB", session->plan->id, info->name, element_name(info->element)), false);
    if (made && info->resized) made = resize(session, i, &info->shape);
    made = made && make_buffer(session, true, i, info, &state->inputs[i]);
  }
  made = made && ok(session, api->GetCompiledModelOutputTensorLayouts(state->compiled, 0, session->output_count, layouts, true), "MODEL_LOAD", "the outputs have no shape");
  for (size_t i = 0; made && i < session->output_count; i++) {
    struct tensor_info *info = &session->outputs[state->output_places[i]];
    info->shape.rank = layouts[i].rank;
    for (size_t d = 0; d < layouts[i].rank && d < LITERT_MAX_RANK; d++) info->shape.dimensions[d] = layouts[i].dimensions[d];
    made = make_buffer(session, false, i, info, &state->outputs[i]);
  }
  session->load_ns += now_ns() - start;
  free(layouts);
  return made;
}

/** Bytes go in before the clock starts, as an application must. */
static bool write_inputs(struct session *session, const struct feed *feed) {
  struct litert_state *state = state_of(session);
  const struct litert_api *api = &state->library->api;
  for (size_t i = 0; i < session->input_count; i++) {
    size_t place = state->input_places[i];
    void *data = NULL;
    if (!ok(session, api->LockTensorBuffer(state->inputs[i], &data, LITERT_LOCK_WRITE), "INPUT_FAILED", "an input cannot be written")) return false;
    memcpy(data, feed->data[place], feed->bytes[place]);
    if (!ok(session, api->UnlockTensorBuffer(state->inputs[i]), "INPUT_FAILED", "an input cannot be written")) return false;
  }
  return true;
}

static bool run(struct session *session, const struct feed *feed, int64_t *ns) {
  struct litert_state *state = state_of(session);
  if (!write_inputs(session, feed)) return false;
  int64_t start = now_ns();
  int status = state->library->api.RunCompiledModel(state->compiled, 0, session->input_count, state->inputs, session->output_count, state->outputs);
  *ns = now_ns() - start;
  return ok(session, status, "RUN_FAILED", "the run failed");
}

/** The bytes stay where they are until the next run: host memory, which unlocking does not move. */
static const void *output(struct session *session, size_t index, size_t *bytes) {
  const struct litert_state *state = state_of(session);
  const struct litert_api *api = &state->library->api;
  size_t place = 0;
  while (state->output_places[place] != index) place++;
  const struct tensor_info *info = &session->outputs[index];
  void *data = NULL;
  if (!tensor_bytes(info->element, &info->shape, bytes))
    return emit_error("OUTPUT_FAILED", "%s: output %s has no plain bytes", session->plan->id, info->name), NULL;
  if (!ok(session, api->LockTensorBuffer(state->outputs[place], &data, LITERT_LOCK_READ), "OUTPUT_FAILED", "an output cannot be read") ||
      !ok(session, api->UnlockTensorBuffer(state->outputs[place]), "OUTPUT_FAILED", "an output cannot be read"))
    return NULL;
  return data;
}

static char *end_profiling(struct session *session) {
  return (void)session, NULL;
}

static void close_session(struct session *session) {
  struct litert_state *state = session->state;
  const struct litert_api *api = &state->library->api;
  for (size_t i = 0; state->inputs && i < session->input_count; i++)
    if (state->inputs[i]) api->DestroyTensorBuffer(state->inputs[i]);
  for (size_t i = 0; state->outputs && i < session->output_count; i++)
    if (state->outputs[i]) api->DestroyTensorBuffer(state->outputs[i]);
  if (state->compiled) api->DestroyCompiledModel(state->compiled);
  if (state->model) api->DestroyModel(state->model);
  if (state->bytes) munmap(state->bytes, state->byte_count);
  free(state->inputs), free(state->outputs), free(state->input_places), free(state->output_places);
  free(state);
}

const struct backend litert_backend = {
    .name = "litert",
    .entry = "LiteRtCreateCompiledModel",
    .library_name = "a LiteRT library",
    .library_version = library_version,
    .open = open_session,
    .prepare = prepare,
    .run = run,
    .output = output,
    .end_profiling = end_profiling,
    .close = close_session,
};
