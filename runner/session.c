#include "session.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "emit.h"
#include "litert.h"
#include "ort.h"
#include "tflite.h"

const struct backend *const backends[BACKENDS] = {&ort_backend, &tflite_backend, &litert_backend};

void *library_handle(const char *path, char *message, size_t message_size) {
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) snprintf(message, message_size, "%s", dlerror());
  return handle;
}

const char *library_check(const char *path, const struct backend **backend, const char **code, char *message, size_t message_size) {
  *code = "LIBRARY_OPEN";
  void *handle = library_handle(path, message, message_size);
  if (!handle) return NULL;
  for (size_t i = 0; i < BACKENDS; i++) {
    if (!dlsym(handle, backends[i]->entry)) continue;
    *backend = backends[i];
    return backends[i]->library_version(path, code, message, message_size);
  }
  return snprintf(message, message_size, "%s: not %s, nor %s, nor %s", path, backends[0]->library_name, backends[1]->library_name, backends[2]->library_name), NULL;
}

bool session_open(struct session *session, const struct plan_artifact *plan, const char *profile_prefix) {
  const char *code;
  char message[1024];
  *session = (struct session){.plan = plan};
  session->runtime = library_check(plan->library, &session->backend, &code, message, sizeof message);
  if (!session->runtime) return emit_error(code, "%s: %s", plan->id, message), false;
  if ((session->backend == &ort_backend) != (plan->backend == BACKEND_ONNXRUNTIME))
    return emit_error("LIBRARY_OPEN", "%s: %s: %s, which the plan's backend cannot use", plan->id, plan->library, session->backend->library_name), false;
  return session->backend->open(session, profile_prefix) && feed_open(session, &session->feed);
}

void session_close(struct session *session) {
  if (!session->state) return;
  feed_close(session, &session->feed);
  session->backend->close(session);
  for (size_t i = 0; i < session->input_count; i++) free(session->inputs[i].name);
  for (size_t i = 0; i < session->output_count; i++) free(session->outputs[i].name);
  free(session->inputs), free(session->outputs);
  session->state = NULL;
}

char *session_end_profiling(struct session *session) {
  return session->backend->end_profiling(session);
}

bool feed_open(struct session *session, struct feed *feed) {
  *feed = (struct feed){
      .data = calloc(session->input_count + 1, sizeof(void *)),
      .bytes = calloc(session->input_count + 1, sizeof(size_t)),
      .values = calloc(session->input_count + 1, sizeof(void *)),
  };
  return (feed->data && feed->bytes && feed->values) || (emit_error("OUT_OF_MEMORY", "%s: out of memory", session->plan->id), false);
}

bool feed_input(struct session *session, struct feed *feed, size_t index, size_t bytes) {
  // Rounded up for aligned_alloc; 64 is a cache line and the widest vector register.
  feed->data[index] = aligned_alloc(64, (bytes + 64) / 64 * 64);
  if (!feed->data[index])
    return emit_error("OUT_OF_MEMORY", "%s: input %s needs %zu bytes", session->plan->id, session->inputs[index].name, bytes), false;
  feed->bytes[index] = bytes;
  return !session->backend->feed || session->backend->feed(session, feed, index);
}

void feed_close(struct session *session, struct feed *feed) {
  for (size_t i = 0; feed->data && feed->values && i < session->input_count; i++) {
    if (feed->values[i]) session->backend->unfeed(session, feed, i);
    free(feed->data[i]);
  }
  free(feed->data), free(feed->bytes), free(feed->values);
  *feed = (struct feed){0};
}

bool session_run(struct session *session, const struct feed *feed, int64_t *ns) {
  return session->backend->run(session, feed, ns);
}

void session_drop_outputs(struct session *session) {
  if (session->backend->drop_outputs) session->backend->drop_outputs(session);
}

const void *session_output(struct session *session, size_t index, size_t *bytes) {
  return session->backend->output(session, index, bytes);
}
