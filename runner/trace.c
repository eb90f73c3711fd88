#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

/** Operators nest: a delegate's node holds what the delegate runs, a control-flow node its subgraph. */
enum { MAX_DEPTH = 16, MAX_NAME = 200 };

struct open_operator {
  char name[MAX_NAME];
  int64_t index, subgraph, start_ns;
  /** Time of the operators inside, which have lines of their own. */
  int64_t inner_ns;
};

struct trace {
  struct tfl_profiler calls;
  FILE *file;
  char *path;
  bool begun;
  size_t depth;
  struct open_operator open[MAX_DEPTH];
};

/** Names come from the model or a delegate: only what JSON takes as it is. */
static void clean(const char *from, char *to) {
  size_t length = 0;
  for (; from && from[length] && length < MAX_NAME - 1; length++) {
    unsigned char byte = (unsigned char)from[length];
    to[length] = byte < 0x20 || byte > 0x7e || byte == '"' || byte == '\\' ? '?' : (char)byte;
  }
  to[length] = 0;
}

static void separate(struct trace *profile) {
  fputs(profile->begun ? ",\n" : "[\n", profile->file);
  profile->begun = true;
}

/** Microseconds with the nanoseconds behind the point. */
static void write_operator(struct trace *profile, const char *name, const char *provider, int64_t index, int64_t subgraph,
                           int64_t start_ns, int64_t ns) {
  separate(profile);
  fprintf(profile->file,
          "{\"cat\":\"Node\",\"name\":\"%s:%lld_kernel_time\",\"ts\":%lld.%03lld,\"dur\":%lld.%03lld,"
          "\"args\":{\"op_name\":\"%s\",\"provider\":\"%s\",\"node_index\":\"%lld.%lld\"}}",
          name, (long long)index, (long long)(start_ns / 1000), (long long)(start_ns % 1000), (long long)(ns / 1000),
          (long long)(ns % 1000), name, provider, (long long)subgraph, (long long)index);
}

static uint32_t begin_operator(struct tfl_profiler *calls, const char *name, int64_t index, int64_t subgraph) {
  struct trace *profile = calls->data;
  if (profile->depth >= MAX_DEPTH) return UINT32_MAX;
  struct open_operator *one = &profile->open[profile->depth];
  clean(name, one->name);
  one->index = index, one->subgraph = subgraph, one->inner_ns = 0;
  one->start_ns = now_ns();
  return (uint32_t)profile->depth++;
}

static void end_operator(struct tfl_profiler *calls, uint32_t handle) {
  struct trace *profile = calls->data;
  int64_t end_ns = now_ns();
  if (handle >= profile->depth) return;
  profile->depth = handle;
  const struct open_operator *one = &profile->open[handle];
  int64_t ns = end_ns - one->start_ns;
  if (handle > 0) profile->open[handle - 1].inner_ns += ns;
  write_operator(profile, one->name, "TFLite", one->index, one->subgraph, one->start_ns, ns > one->inner_ns ? ns - one->inner_ns : 0);
}

static void operator_took(struct tfl_profiler *calls, const char *name, uint64_t us, int64_t index, int64_t subgraph) {
  struct trace *profile = calls->data;
  char cleaned[MAX_NAME];
  clean(name, cleaned);
  int64_t ns = us < 1000000000u ? (int64_t)us * 1000 : 0;
  struct open_operator *outer = profile->depth > 0 ? &profile->open[profile->depth - 1] : NULL;
  if (outer) outer->inner_ns += ns;
  write_operator(profile, cleaned, outer ? outer->name : "delegate", index, subgraph, outer ? outer->start_ns : now_ns(), ns);
}

static void ignore_event(struct tfl_profiler *calls, const char *name, uint64_t status) {
  (void)calls, (void)name, (void)status;
}

static void ignore_operator_event(struct tfl_profiler *calls, const char *name, int64_t index, int64_t subgraph, uint64_t status) {
  (void)calls, (void)name, (void)index, (void)subgraph, (void)status;
}

static void ignore_settings(struct tfl_profiler *calls, const char *name, const void *settings) {
  (void)calls, (void)name, (void)settings;
}

struct trace *trace_open(const char *prefix) {
  struct trace *profile = calloc(1, sizeof *profile);
  size_t size = strlen(prefix) + sizeof "_.json";
  if (!profile || !(profile->path = malloc(size))) return free(profile), NULL;
  snprintf(profile->path, size, "%s_.json", prefix);
  profile->file = fopen(profile->path, "we");
  if (!profile->file) return free(profile->path), free(profile), NULL;
  profile->calls = (struct tfl_profiler){profile, ignore_event, ignore_operator_event, ignore_settings, begin_operator, end_operator, operator_took};
  return profile;
}

struct tfl_profiler *trace_calls(struct trace *profile) {
  return &profile->calls;
}

void trace_run(struct trace *profile, int64_t start_ns, int64_t ns) {
  // A run that was given up may have left operators open.
  profile->depth = 0;
  separate(profile);
  fprintf(profile->file, "{\"cat\":\"Session\",\"name\":\"model_run\",\"ts\":%lld.%03lld,\"dur\":%lld.%03lld}", (long long)(start_ns / 1000),
          (long long)(start_ns % 1000), (long long)(ns / 1000), (long long)(ns % 1000));
}

char *trace_end(struct trace *profile) {
  fputs(profile->begun ? "\n]\n" : "[]\n", profile->file);
  bool whole = fflush(profile->file) == 0 && !ferror(profile->file);
  return whole ? strdup(profile->path) : NULL;
}

void trace_free(struct trace *profile) {
  if (!profile) return;
  fclose(profile->file);
  free(profile->path);
  free(profile);
}
