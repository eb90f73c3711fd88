#define _GNU_SOURCE
#include "infer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "emit.h"
#include "inputs.h"
#include "interrupt.h"
#include "process.h"

/** Files and buffers of an infer step, kept apart from the inputs that are measured with. */
struct streams {
  int *in, *out;
  struct feed feed;
  size_t *out_bytes;
};

static bool write_all(const char *path, int fd, const void *from, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t count = write(fd, (const char *)from + done, bytes - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      int error = count < 0 ? errno : ENOSPC;
      return emit_error(error == ENOSPC || error == EDQUOT ? "DISK_FULL" : "OUTPUT_FILE", "cannot write %s: %s", path, strerror(error)), false;
    }
    done += (size_t)count;
  }
  return true;
}

static bool open_streams(size_t index, const struct plan_step *step, struct session *session, struct streams *streams) {
  if (step->input_count != session->input_count || step->output_count != session->output_count)
    return emit_error("INPUT_COUNT", "%s: the model has %zu inputs and %zu outputs, step %zu gives %zu and %zu files", session->plan->id,
                      session->input_count, session->output_count, index, step->input_count, step->output_count), false;
  for (size_t i = 0; i < session->input_count; i++) {
    size_t bytes;
    tensor_bytes(session->inputs[i].element, &session->inputs[i].shape, &bytes);
    streams->in[i] = input_open(session, step->inputs[i], (uint64_t)bytes * (uint64_t)step->count);
    if (streams->in[i] < 0) return false;
    if (!feed_input(session, &streams->feed, i, bytes)) return false;
  }
  for (size_t i = 0; i < session->output_count; i++) {
    streams->out[i] = open(step->outputs[i], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (streams->out[i] < 0) return emit_error("OUTPUT_FILE", "cannot write %s: %s", step->outputs[i], strerror(errno)), false;
  }
  return true;
}

static bool infer_sample(const struct plan_step *step, struct runnable *runnable, struct streams *streams, bool first_sample) {
  struct session *session = &runnable->session;
  int64_t ns;
  for (size_t i = 0; i < session->input_count; i++)
    if (!input_read(session, streams->in[i], step->inputs[i], streams->feed.data[i], streams->feed.bytes[i])) return false;
  bool ok = session_run(session, &streams->feed, &ns);
  if (ok && !runnable->had_first) emit_first(runnable, ns);
  for (size_t i = 0; ok && i < session->output_count; i++) {
    size_t bytes;
    const void *data = session_output(session, i, &bytes);
    if (!data) ok = false;
    else if (first_sample) streams->out_bytes[i] = bytes;
    else if (bytes != streams->out_bytes[i])
      ok = (emit_error("OUTPUT_SHAPE", "%s: the size of output %s changes between samples", session->plan->id, session->outputs[i].name), false);
    ok = ok && write_all(step->outputs[i], streams->out[i], data, bytes);
  }
  session_drop_outputs(session);
  return ok;
}

static void emit_inferred(size_t index, int64_t count) {
  event_begin("inferred");
  event_integer("step", (int64_t)index);
  event_integer("count", count);
  event_end();
}

bool infer_run(size_t index, const struct plan_step *step, struct runnable *runnable, int64_t *count) {
  struct session *session = &runnable->session;
  struct streams streams = {
      .in = malloc((session->input_count + 1) * sizeof(int)),
      .out = malloc((session->output_count + 1) * sizeof(int)),
      .out_bytes = calloc(session->output_count + 1, sizeof(size_t)),
  };
  if (!streams.in || !streams.out || !streams.out_bytes) return emit_error("OUT_OF_MEMORY", "%s: out of memory", session->plan->id), false;
  memset(streams.in, 0xff, (session->input_count + 1) * sizeof(int));
  memset(streams.out, 0xff, (session->output_count + 1) * sizeof(int));

  int64_t told_ns = now_ns();
  bool ok = feed_open(session, &streams.feed) && affinity_apply(session->plan) && open_streams(index, step, session, &streams);
  while (ok && *count < step->count && !interrupted()) {
    ok = infer_sample(step, runnable, &streams, *count == 0);
    *count += ok;
    if (ok && *count < step->count && now_ns() - told_ns >= FLUSH_PERIOD_NS) {
      emit_inferred(index, *count);
      told_ns = now_ns();
    }
  }
  for (size_t i = 0; i < session->output_count; i++) {
    // Delayed allocation reports a full disk only here.
    if (streams.out[i] >= 0 && ok && fsync(streams.out[i]) != 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO))
      ok = (emit_error(errno == EIO ? "OUTPUT_FILE" : "DISK_FULL", "cannot write %s: %s", step->outputs[i], strerror(errno)), false);
    if (streams.out[i] >= 0) close(streams.out[i]);
  }
  if (ok && *count == step->count) emit_inferred(index, *count);
  for (size_t i = 0; i < session->input_count; i++)
    if (streams.in[i] >= 0) close(streams.in[i]);
  feed_close(session, &streams.feed);
  free(streams.in), free(streams.out), free(streams.out_bytes);
  return ok;
}
