#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plan.h"
#include "tensor.h"

/** A model loaded into a runtime. Failures are emitted as `error` events where they occur. */

/** One set of inputs: the bytes of each, and what the backend made to look at them. */
struct feed {
  void **data;
  size_t *bytes;
  void **values;
};

struct session {
  const struct plan_artifact *plan;
  const struct backend *backend;
  /** The backend's own, NULL before it is open. */
  void *state;
  /** Version of the runtime library. */
  const char *runtime;
  size_t input_count, output_count;
  struct tensor_info *inputs, *outputs;
  /** The inputs that are measured with. */
  struct feed feed;
  int64_t load_ns;
};

/**
 * A runtime behind one set of functions. They emit an `error` event where they fail; a session half open is closed too.
 */
struct backend {
  const char *name;
  /** A symbol that every library of this runtime has. */
  const char *entry;
  /** What its libraries are called in messages. */
  const char *library_name;
  /** Version of an opened library (dlopen's handle); NULL with code and sentence. The same path twice is opened once. */
  const char *(*library_version)(const char *path, const char **code, char *message, size_t message_size);
  /** Loads the model and describes inputs and outputs into the session. `profile_prefix` NULL: no profile. */
  bool (*open)(struct session *session, const char *profile_prefix);
  /** Once every input's shape is closed: lays out memory. NULL where nothing is to be done. */
  bool (*prepare)(struct session *session);
  /** Makes feed->values[index] over the feed's bytes, which outlive it; NULL where the bytes are enough. */
  bool (*feed)(struct session *session, struct feed *feed, size_t index);
  void (*unfeed)(struct session *session, struct feed *feed, size_t index);
  bool (*run)(struct session *session, const struct feed *feed, int64_t *ns);
  void (*drop_outputs)(struct session *session);
  const void *(*output)(struct session *session, size_t index, size_t *bytes);
  char *(*end_profiling)(struct session *session);
  /** Members of this backend in the `loaded` event; NULL where there are none. */
  void (*describe)(const struct session *session);
  void (*close)(struct session *session);
};

/** A library that two of them can open goes to the first. */
extern const struct backend *const backends[];
enum { BACKENDS = 3 };

/** dlopen with its words; NULL with a sentence. */
void *library_handle(const char *path, char *message, size_t message_size);
/** The version of a runtime library and the backend it is for; NULL with code and sentence. */
const char *library_check(const char *path, const struct backend **backend, const char **code, char *message, size_t message_size);

/** Creates a session with its inputs and outputs discovered, no input bound yet. */
bool session_open(struct session *session, const struct plan_artifact *plan, const char *profile_prefix);
void session_close(struct session *session);
/** Ends profiling; the file's name (malloc), or NULL. */
char *session_end_profiling(struct session *session);

/** Room for `input_count` inputs, none made yet. */
bool feed_open(struct session *session, struct feed *feed);
/** Gives input `index` of a feed its room: `bytes` at data[index]. */
bool feed_input(struct session *session, struct feed *feed, size_t index, size_t bytes);
void feed_close(struct session *session, struct feed *feed);

/**
 * One inference; *ns is the time of the runtime's own call and nothing else. Outputs stay until session_drop_outputs,
 * which is not timed.
 */
bool session_run(struct session *session, const struct feed *feed, int64_t *ns);
void session_drop_outputs(struct session *session);
/** Bytes of output `index` of the last run, or NULL after an error event. */
const void *session_output(struct session *session, size_t index, size_t *bytes);
