#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "delegate.h"
#include "emit.h"
#include "inputs.h"
#include "interrupt.h"
#include "plan.h"
#include "process.h"
#include "sensors.h"
#include "session.h"
#include "steps.h"
#include "version.h"

/** edgewright-runner: executes a plan on the board and writes what it saw as JSON lines. Protocol: src/measure/plan.ts. */

static struct plan plan;
static struct runnable runnables[MAX_ARTIFACTS];
static const char *events_path;

static int usage(void) {
  fputs("usage: edgewright-runner PLAN.json EVENTS.jsonl    run a plan; `-` is standard input or output\n"
        "       edgewright-runner --check-library LIB       open a runtime library and say its version\n"
        "       edgewright-runner --check-delegate LIB      open a TFLite delegate and say its version and devices\n"
        "       edgewright-runner --clock N                 say CLOCK_MONOTONIC in nanoseconds N times, 20 ms apart\n"
        "       edgewright-runner --version\n",
        stderr);
  return STATUS_USAGE;
}

static int check_library(const char *path) {
  const char *code;
  char message[1024];
  const struct backend *backend = NULL;
  const char *version = library_check(path, &backend, &code, message, sizeof message);
  event_begin("library");
  event_string("path", path);
  event_string("backend", backend ? backend->name : NULL);
  event_string("version", version);
  if (!version) {
    event_string("code", code);
    event_string("message", message);
  }
  event_end();
  return version ? STATUS_OK : STATUS_FAILED;
}

static int check_delegate(const char *path) {
  char message[1024];
  event_begin("delegate");
  event_string("path", path);
  bool usable = delegate_describe(path, message, sizeof message);
  if (!usable) event_string("message", message);
  event_end();
  return usable ? STATUS_OK : STATUS_FAILED;
}

/** For a host that wants to know how its own clock stands to the board's: each line leaves as soon as the clock was read. */
static int say_clock(const char *times) {
  char *end;
  long count = strtol(times, &end, 10);
  if (*end || count < 1 || count > 10000) return usage();
  int64_t due_ns = now_ns();
  for (long i = 0; i < count; i++) {
    if (!sleep_until_ns(due_ns)) return STATUS_INTERRUPTED;
    printf("%lld\n", (long long)now_ns());
    if (fflush(stdout) != 0) return STATUS_EVENTS;
    due_ns += 20000000;
  }
  return STATUS_OK;
}

static void emit_tensors(const char *key, const struct tensor_info *infos, size_t count) {
  event_array(key);
  for (size_t i = 0; i < count; i++) {
    event_object(NULL);
    event_string("name", infos[i].name);
    event_string("dtype", element_name(infos[i].element));
    event_array("shape");
    for (size_t d = 0; d < infos[i].shape.rank; d++) event_integer(NULL, infos[i].shape.dimensions[d]);
    event_array_end();
    event_object_end();
  }
  event_array_end();
}

/** Profiles land beside the events file, named after the artifact. */
static bool profile_prefix(const char *id, char *prefix, size_t size) {
  const char *slash = strrchr(events_path, '/');
  int folder = slash ? (int)(slash - events_path) + 1 : 0;
  int length = snprintf(prefix, size, "%.*sprofile-%s", folder, events_path, id);
  return length > 0 && (size_t)length < size;
}

static bool load(size_t index) {
  const struct plan_artifact *artifact = &plan.artifacts[index];
  struct runnable *runnable = &runnables[index];
  char prefix[4096];
  if (artifact->profile && !profile_prefix(artifact->id, prefix, sizeof prefix))
    return emit_error("PLAN_INVALID", "the path of the events file is too long"), false;
  // Pinned before the session is made: its threads inherit it.
  if (!affinity_apply(artifact)) return false;
  if (!session_open(&runnable->session, artifact, artifact->profile ? prefix : NULL) || !inputs_bind(&runnable->session)) return false;
  runnable->latency_ns = malloc(MAX_HELD * sizeof *runnable->latency_ns);
  if (!runnable->latency_ns) return emit_error("OUT_OF_MEMORY", "%s: out of memory", artifact->id), false;
  runnable->open = true;
  const struct session *session = &runnable->session;
  event_begin("loaded");
  event_string("artifact", artifact->id);
  event_string("runtime", session->runtime);
  event_integer("loadNs", session->load_ns);
  event_integer("rssBytes", resident_bytes());
  emit_tensors("inputs", session->inputs, session->input_count);
  emit_tensors("outputs", session->outputs, session->output_count);
  if (session->backend->describe) session->backend->describe(session);
  event_end();
  emit_memory();
  return true;
}

static bool used_from(size_t artifact, size_t step) {
  for (size_t s = step; s < plan.step_count; s++)
    for (size_t i = 0; i < plan.steps[s].artifact_count; i++)
      if (plan.steps[s].artifacts[i] == artifact) return true;
  return false;
}

/** Closes a session; the profile of a profiled one is whole only now. */
static void unload(size_t index) {
  struct runnable *runnable = &runnables[index];
  if (plan.artifacts[index].profile) {
    char *file = session_end_profiling(&runnable->session);
    if (file) {
      event_begin("operators");
      event_string("artifact", plan.artifacts[index].id);
      event_string("file", file);
      event_end();
      free(file);
    }
  }
  session_close(&runnable->session);
  free(runnable->latency_ns);
  runnable->open = false;
}

/** A session lives from its first step to its last: a small board need not hold all of a long plan at once. */
static bool run_steps(void) {
  for (size_t a = 0; a < plan.artifact_count; a++) {
    if (used_from(a, 0)) continue;
    if (!load(a)) return false;
    unload(a);
  }
  for (size_t s = 0; s < plan.step_count; s++) {
    const struct plan_step *step = &plan.steps[s];
    for (size_t i = 0; i < step->artifact_count; i++) {
      if (interrupted()) return emit_error("INTERRUPTED", "interrupted before step %zu", s), false;
      if (!runnables[step->artifacts[i]].open && !load(step->artifacts[i])) return false;
    }
    if (!step_run(&plan, s, runnables)) return false;
    for (size_t a = 0; a < plan.artifact_count; a++)
      if (runnables[a].open && !used_from(a, s + 1)) unload(a);
  }
  return true;
}

static int run(const char *plan_path) {
  char message[512];
  event_begin("hello");
  event_string("runner", RUNNER_VERSION);
  event_integer("pid", getpid());
  event_integer("schema", PLAN_SCHEMA);
  event_end();
  if (!plan_read(plan_path, &plan, message, sizeof message)) return emit_error("PLAN_INVALID", "%s", message), STATUS_PLAN;
  affinity_remember();
  sensors_start(&plan);
  bool ok = run_steps();
  sensors_stop();
  if (!ok) return interrupted() ? STATUS_INTERRUPTED : STATUS_FAILED;
  event_begin("end");
  event_end();
  return STATUS_OK;
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--version") == 0) return printf("edgewright-runner %s\n", RUNNER_VERSION), STATUS_OK;
  if (argc == 3 && strcmp(argv[1], "--check-library") == 0) return check_library(argv[2]);
  if (argc == 3 && strcmp(argv[1], "--check-delegate") == 0) return check_delegate(argv[2]);
  if (argc == 3 && strcmp(argv[1], "--clock") == 0) return say_clock(argv[2]);
  if (argc != 3 || argv[1][0] == 0 || strncmp(argv[1], "--", 2) == 0) return usage();
  events_path = argv[2];
  interrupt_install();
  if (!emit_open(events_path)) return perror("edgewright-runner: cannot open the events file"), STATUS_EVENTS;
  int status = run(argv[1]);
  emit_sync();
  // Without the runtime's static destructors: a crash there must not spoil a finished run.
  _exit(status);
}
