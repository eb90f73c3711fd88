#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "json.h"
#include "version.h"

/** Where the reader stands, for messages, and the first thing that was wrong. */
struct decoder {
  char where[128];
  char *message;
  size_t message_size;
  const struct plan *plan;
};

static bool decode_plan(struct decoder *d, const struct json *root, struct plan *plan);

static const char *const step_names[] = {"warmup", "measure", "interleave", "infer", "idle"};

const char *step_name(enum step_kind kind) {
  return step_names[kind];
}

/** Whole file into memory; NULL with errno set, EFBIG beyond the bound. */
static char *read_bounded(const char *path, size_t *length) {
  int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
  char *text = fd < 0 ? NULL : malloc(MAX_PLAN_BYTES + 1);
  if (!text) return NULL;
  size_t filled = 0;
  while (filled <= MAX_PLAN_BYTES) {
    ssize_t count = read(fd, text + filled, MAX_PLAN_BYTES + 1 - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return free(text), NULL;
    if (count == 0) break;
    filled += (size_t)count;
  }
  if (fd != STDIN_FILENO) close(fd);
  if (filled > MAX_PLAN_BYTES) return free(text), errno = EFBIG, NULL;
  *length = filled;
  return text;
}

bool plan_read(const char *path, struct plan *plan, char *message, size_t message_size) {
  size_t length, offset;
  char *text = read_bounded(path, &length);
  if (!text) return snprintf(message, message_size, "cannot read the plan: %s", strerror(errno)), false;
  const char *reason;
  struct json *root = json_parse(text, length, &reason, &offset);
  free(text);
  if (!root) return snprintf(message, message_size, "the plan is not JSON: %s at byte %zu", reason, offset), false;
  struct decoder decoder = {.message = message, .message_size = message_size, .plan = plan};
  bool ok = decode_plan(&decoder, root, plan);
  json_free(root);
  return ok;
}

static bool wrong(struct decoder *d, const char *key, const char *what) {
  return snprintf(d->message, d->message_size, "%s%s%s: %s", d->where, *d->where && *key ? "." : "", key, what), false;
}

/** Refuses members nobody reads: a host newer than this runner must not have its wishes dropped silently. */
static bool only(struct decoder *d, const struct json *object, const char *const *keys) {
  if (object->type != JSON_OBJECT) return wrong(d, "", "must be an object");
  for (const struct json *child = object->first; child; child = child->next) {
    const char *const *key = keys;
    while (*key && strcmp(*key, child->key) != 0) key++;
    if (!*key) return wrong(d, "", "has a member that this runner does not know");
  }
  return true;
}

static bool get_number(struct decoder *d, const struct json *object, const char *key, double min, double max, double *to) {
  const struct json *value = json_member(object, key);
  if (!value || value->type != JSON_NUMBER || !(value->number >= min && value->number <= max))
    return wrong(d, key, "must be a number in range");
  *to = value->number;
  return true;
}

static bool whole(const struct json *value, double min, double max) {
  return value && value->type == JSON_NUMBER && value->number >= min && value->number <= max &&
         value->number == (double)(int64_t)value->number;
}

static bool get_integer(struct decoder *d, const struct json *object, const char *key, double min, double max, int64_t *to) {
  const struct json *value = json_member(object, key);
  if (!whole(value, min, max)) return wrong(d, key, "must be a whole number in range");
  *to = (int64_t)value->number;
  return true;
}

static bool copy_string(struct decoder *d, const struct json *value, const char *key, size_t max, char **to) {
  if (!value || value->type != JSON_STRING || !*value->string || strlen(value->string) > max)
    return wrong(d, key, "must be a string that is neither empty nor too long");
  *to = strdup(value->string);
  return *to != NULL || wrong(d, key, "out of memory");
}

static bool get_path(struct decoder *d, const struct json *object, const char *key, char **to) {
  return copy_string(d, json_member(object, key), key, 4095, to);
}

static const struct json *get_array(struct decoder *d, const struct json *object, const char *key, size_t max) {
  const struct json *value = json_member(object, key);
  if (value && value->type == JSON_ARRAY && value->count <= max) return value;
  return (void)wrong(d, key, "must be an array that is not too long"), NULL;
}

static bool get_paths(struct decoder *d, const struct json *object, const char *key, char ***to, size_t *count) {
  const struct json *array = get_array(d, object, key, MAX_TENSORS);
  if (!array) return false;
  *to = calloc(array->count + 1, sizeof **to);
  if (!*to) return wrong(d, key, "out of memory");
  for (const struct json *child = array->first; child; child = child->next)
    if (!copy_string(d, child, key, 4095, &(*to)[(*count)++])) return false;
  return true;
}

/** Ids name profile files and appear in events: a plain word. */
static bool plain_word(const char *id) {
  return strlen(id) <= MAX_ID && id[0] != '.' &&
         strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(id);
}

static bool decode_shapes(struct decoder *d, const struct json *object, struct plan_artifact *artifact) {
  if (!json_member(object, "shapes")) return true;
  const struct json *array = get_array(d, object, "shapes", MAX_TENSORS);
  if (!array) return false;
  artifact->shapes = calloc(array->count + 1, sizeof *artifact->shapes);
  if (!artifact->shapes) return wrong(d, "shapes", "out of memory");
  for (const struct json *one = array->first; one; one = one->next) {
    if (one->type != JSON_ARRAY || one->count > MAX_RANK) return wrong(d, "shapes", "must hold one short array per input");
    struct shape *shape = &artifact->shapes[artifact->shape_count++];
    for (const struct json *dimension = one->first; dimension; dimension = dimension->next) {
      if (!whole(dimension, 0, 1e9)) return wrong(d, "shapes", "must hold whole numbers");
      shape->dimensions[shape->rank++] = (int64_t)dimension->number;
    }
  }
  return true;
}

static bool decode_affinity(struct decoder *d, const struct json *object, struct plan_artifact *artifact) {
  const struct json *array = get_array(d, object, "affinity", MAX_CPUS);
  if (!array) return false;
  artifact->affinity = calloc(array->count + 1, sizeof *artifact->affinity);
  if (!artifact->affinity) return wrong(d, "affinity", "out of memory");
  for (const struct json *cpu = array->first; cpu; cpu = cpu->next) {
    if (!whole(cpu, 0, MAX_CPUS - 1)) return wrong(d, "affinity", "must hold CPU numbers");
    artifact->affinity[artifact->affinity_count++] = (int)cpu->number;
  }
  return true;
}

static bool decode_backend(struct decoder *d, const struct json *object, struct plan_artifact *artifact) {
  static const char *const names[] = {[BACKEND_ONNXRUNTIME] = "onnxruntime", [BACKEND_LITERT] = "litert"};
  const struct json *backend = json_member(object, "backend");
  for (size_t i = 0; backend && backend->type == JSON_STRING && i < sizeof names / sizeof *names; i++)
    if (strcmp(backend->string, names[i]) == 0) return artifact->backend = (enum backend_kind)i, true;
  return wrong(d, "backend", "must be `onnxruntime` or `litert`");
}

static bool decode_delegate(struct decoder *d, const struct json *object, struct plan_artifact *artifact) {
  static const char *const keys[] = {"library", "options", NULL};
  const struct json *member = json_member(object, "delegate");
  if (!member) return true;
  if (artifact->backend != BACKEND_LITERT) return wrong(d, "delegate", "is for `litert` only");
  struct plan_delegate *delegate = &artifact->delegate;
  if (!only(d, member, keys) || !get_path(d, member, "library", &delegate->library)) return false;
  const struct json *options = json_member(member, "options");
  if (!options || options->type != JSON_OBJECT || options->count > MAX_DELEGATE_OPTIONS)
    return wrong(d, "delegate", "must have options, an object that is not too long");
  delegate->keys = calloc(options->count + 1, sizeof *delegate->keys);
  delegate->values = calloc(options->count + 1, sizeof *delegate->values);
  if (!delegate->keys || !delegate->values) return wrong(d, "delegate", "out of memory");
  for (const struct json *one = options->first; one; one = one->next) {
    char **key = &delegate->keys[delegate->option_count];
    if (!(*key = strdup(one->key)) || !copy_string(d, one, "delegate", 4095, &delegate->values[delegate->option_count++])) return false;
  }
  return true;
}

static bool decode_artifact(struct decoder *d, const struct json *object, struct plan *plan) {
  static const char *const keys[] = {"id", "backend", "library", "model", "threads", "affinity",
                                     "profile", "inputs", "shapes", "seed", "delegate", NULL};
  struct plan_artifact *artifact = &plan->artifacts[plan->artifact_count];
  int64_t threads, seed;
  if (!only(d, object, keys) || !copy_string(d, json_member(object, "id"), "id", MAX_ID, &artifact->id)) return false;
  if (!plain_word(artifact->id)) return wrong(d, "id", "must be letters, digits, `.`, `_` and `-`");
  for (size_t i = 0; i < plan->artifact_count; i++)
    if (strcmp(plan->artifacts[i].id, artifact->id) == 0) return wrong(d, "id", "stands there twice");
  const struct json *profile = json_member(object, "profile");
  if (!decode_backend(d, object, artifact) || !decode_delegate(d, object, artifact)) return false;
  if (!profile || profile->type != JSON_BOOL) return wrong(d, "profile", "must be true or false");
  artifact->profile = profile->number != 0;
  if (!get_path(d, object, "library", &artifact->library) || !get_path(d, object, "model", &artifact->model) ||
      !get_integer(d, object, "threads", 1, 1024, &threads) || !get_integer(d, object, "seed", 0, 9007199254740991.0, &seed) ||
      !get_paths(d, object, "inputs", &artifact->inputs, &artifact->input_count) ||
      !decode_shapes(d, object, artifact) || !decode_affinity(d, object, artifact))
    return false;
  artifact->threads = (int)threads;
  artifact->seed = (uint64_t)seed;
  plan->artifact_count++;
  return true;
}

static bool decode_bounds(struct decoder *d, const struct json *object, struct bounds *bounds) {
  double min_seconds, max_seconds;
  if (!get_integer(d, object, "minCount", 0, 1e9, &bounds->min_count) ||
      !get_integer(d, object, "maxCount", 1, 1e9, &bounds->max_count) ||
      !get_number(d, object, "minSeconds", 0, 1e6, &min_seconds) ||
      !get_number(d, object, "maxSeconds", 0, 1e6, &max_seconds))
    return false;
  if (bounds->min_count > bounds->max_count || min_seconds > max_seconds)
    return wrong(d, "", "has a minimum above its maximum");
  bounds->min_ns = seconds_ns(min_seconds);
  bounds->max_ns = seconds_ns(max_seconds);
  return true;
}

static bool add_artifact(struct decoder *d, const struct json *id, const char *key, struct plan_step *step) {
  if (id && id->type == JSON_STRING) {
    for (size_t i = 0; i < d->plan->artifact_count; i++) {
      if (strcmp(d->plan->artifacts[i].id, id->string) != 0) continue;
      step->artifacts[step->artifact_count++] = i;
      return true;
    }
  }
  return wrong(d, key, "names no artifact of the plan");
}

static bool decode_step(struct decoder *d, const struct json *object, struct plan_step *step) {
  static const char *const keys[][10] = {
      [STEP_WARMUP] = {"do", "artifact", "minCount", "minSeconds", "maxCount", "maxSeconds", "meters", NULL},
      [STEP_MEASURE] = {"do", "artifact", "rateHz", "minCount", "minSeconds", "maxCount", "maxSeconds", "meters", NULL},
      [STEP_INTERLEAVE] = {"do", "artifacts", "block", "minCount", "minSeconds", "maxCount", "maxSeconds", "meters", NULL},
      [STEP_INFER] = {"do", "artifact", "inputs", "outputs", "count", "meters", NULL},
      [STEP_IDLE] = {"do", "seconds", "meters", NULL},
  };
  if (object->type != JSON_OBJECT) return wrong(d, "", "must be an object");
  const struct json *kind = json_member(object, "do");
  size_t known = 0, kinds = sizeof step_names / sizeof *step_names;
  while (known < kinds && kind && kind->type == JSON_STRING && strcmp(step_names[known], kind->string) != 0) known++;
  if (!kind || kind->type != JSON_STRING || known == kinds) return wrong(d, "do", "is no step that this runner knows");
  step->kind = (enum step_kind)known;
  if (!only(d, object, keys[known])) return false;
  const struct json *metered = json_member(object, "meters");
  if (metered && metered->type != JSON_BOOL) return wrong(d, "meters", "must be true or false");
  step->metered = metered && metered->number != 0;

  if (step->kind == STEP_IDLE) {
    double seconds;
    if (!get_number(d, object, "seconds", 0, 1e6, &seconds)) return false;
    step->idle_ns = seconds_ns(seconds);
    return true;
  }
  if (step->kind == STEP_INTERLEAVE) {
    const struct json *array = get_array(d, object, "artifacts", MAX_ARTIFACTS);
    if (!array) return false;
    if (array->count == 0) return wrong(d, "artifacts", "is empty");
    for (const struct json *id = array->first; id; id = id->next)
      if (!add_artifact(d, id, "artifacts", step)) return false;
    return get_integer(d, object, "block", 1, 1e6, &step->block) && decode_bounds(d, object, &step->bounds);
  }
  if (!add_artifact(d, json_member(object, "artifact"), "artifact", step)) return false;
  if (step->kind == STEP_INFER)
    return get_integer(d, object, "count", 1, 1e9, &step->count) &&
           get_paths(d, object, "inputs", &step->inputs, &step->input_count) &&
           get_paths(d, object, "outputs", &step->outputs, &step->output_count);
  if (step->kind == STEP_MEASURE && !get_number(d, object, "rateHz", 0, 1e6, &step->rate_hz)) return false;
  return decode_bounds(d, object, &step->bounds);
}

static bool decode_sensor(struct decoder *d, const struct json *object, struct plan_sensor *sensor) {
  static const char *const keys[] = {"name", "path", NULL};
  return only(d, object, keys) && copy_string(d, json_member(object, "name"), "name", 256, &sensor->name) &&
         get_path(d, object, "path", &sensor->path);
}

/** Strings of a meter: its paths, or the words of its command. */
static bool get_words(struct decoder *d, const struct json *object, const char *key, char **to, size_t *count, size_t max) {
  const struct json *array = get_array(d, object, key, max);
  if (!array) return false;
  for (const struct json *one = array->first; one; one = one->next)
    if (!copy_string(d, one, key, 4095, &to[(*count)++])) return false;
  return true;
}

static bool decode_meter(struct decoder *d, const struct json *object, struct plan *plan) {
  static const char *const keys[] = {"name", "paths", "command", "periodMs", NULL};
  struct plan_meter *meter = &plan->meters[plan->meter_count];
  double period_ms;
  if (!only(d, object, keys) || !copy_string(d, json_member(object, "name"), "name", MAX_ID, &meter->name)) return false;
  if (!plain_word(meter->name)) return wrong(d, "name", "must be letters, digits, `.`, `_` and `-`");
  for (size_t i = 0; i < plan->meter_count; i++)
    if (strcmp(plan->meters[i].name, meter->name) == 0) return wrong(d, "name", "stands there twice");
  if (!get_words(d, object, "paths", meter->paths, &meter->path_count, MAX_METER_PATHS) ||
      (json_member(object, "command") && !get_words(d, object, "command", meter->words, &meter->word_count, MAX_METER_WORDS)) ||
      !get_number(d, object, "periodMs", 1, 1e6, &period_ms))
    return false;
  if ((meter->path_count == 0) == (meter->word_count == 0)) return wrong(d, "", "must have either paths or a command");
  meter->period_ns = (int64_t)(period_ms * 1e6);
  plan->meter_count++;
  return true;
}

/** Both may be absent. */
static bool decode_meters(struct decoder *d, const struct json *root, struct plan *plan) {
  *d->where = 0;
  if (json_member(root, "marker") && !get_path(d, root, "marker", &plan->marker)) return false;
  if (!json_member(root, "meters")) return true;
  const struct json *meters = get_array(d, root, "meters", MAX_METERS);
  if (!meters) return false;
  for (const struct json *one = meters->first; one; one = one->next) {
    snprintf(d->where, sizeof d->where, "meters[%zu]", plan->meter_count);
    if (!decode_meter(d, one, plan)) return false;
  }
  return true;
}

static bool decode_plan(struct decoder *d, const struct json *root, struct plan *plan) {
  static const char *const keys[] = {"schema", "artifacts", "steps", "sensors", "sensorPeriodMs", "meters", "marker", NULL};
  if (root->type != JSON_OBJECT) return wrong(d, "plan", "must be an object");
  int64_t schema;
  double period_ms;
  if (!get_integer(d, root, "schema", PLAN_SCHEMA, PLAN_SCHEMA, &schema) || !only(d, root, keys) ||
      !get_number(d, root, "sensorPeriodMs", 1, 1e6, &period_ms))
    return false;
  plan->sensor_period_ns = (int64_t)(period_ms * 1e6);

  const struct json *artifacts = get_array(d, root, "artifacts", MAX_ARTIFACTS);
  const struct json *steps = artifacts ? get_array(d, root, "steps", MAX_STEPS) : NULL;
  const struct json *sensors = steps ? get_array(d, root, "sensors", MAX_SENSORS) : NULL;
  if (!sensors) return false;
  plan->steps = calloc(steps->count + 1, sizeof *plan->steps);
  if (!plan->steps) return wrong(d, "steps", "out of memory");

  for (const struct json *one = artifacts->first; one; one = one->next) {
    snprintf(d->where, sizeof d->where, "artifacts[%zu]", plan->artifact_count);
    if (!decode_artifact(d, one, plan)) return false;
  }
  for (const struct json *one = steps->first; one; one = one->next) {
    snprintf(d->where, sizeof d->where, "steps[%zu]", plan->step_count);
    if (!decode_step(d, one, &plan->steps[plan->step_count])) return false;
    plan->step_count++;
  }
  for (const struct json *one = sensors->first; one; one = one->next) {
    snprintf(d->where, sizeof d->where, "sensors[%zu]", plan->sensor_count);
    if (!decode_sensor(d, one, &plan->sensors[plan->sensor_count])) return false;
    plan->sensor_count++;
  }
  return decode_meters(d, root, plan);
}
