/**
 * A stand-in for libedgetpu.so.1: no Coral is at hand where the tests run. It implements what libedgetpu documents
 * (edgetpu_c.h and TFLite's external delegate interface), claims every `edgetpu-custom-op`, and fills that operator's
 * outputs with a number instead of computing anything. What the runner does with it is written to $STAND_IN_LOG.
 * It proves the way to the delegate and back, and nothing of an Edge TPU.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(const char *format, ...) {
  const char *path = getenv("STAND_IN_LOG");
  FILE *file = path ? fopen(path, "a") : NULL;
  if (!file) return;
  va_list arguments;
  va_start(arguments, format);
  vfprintf(file, format, arguments);
  va_end(arguments);
  fputc('\n', file);
  fclose(file);
}

static bool asked(const char *what) {
  const char *wish = getenv("STAND_IN");
  return wish && strcmp(wish, what) == 0;
}

/* edgetpu_c.h */

struct edgetpu_device {
  int type;
  const char *path;
};

const char *edgetpu_version(void) {
  say("version");
  return "BuildLabel(STAND-IN), RuntimeVersion(14)";
}

struct edgetpu_device *edgetpu_list_devices(size_t *count) {
  *count = asked("no device") ? 0 : 1;
  say("list %zu", *count);
  if (*count == 0) return NULL;
  struct edgetpu_device *devices = malloc(sizeof *devices);
  *devices = (struct edgetpu_device){1, "/sys/bus/usb/devices/2-1"};
  return devices;
}

void edgetpu_free_devices(struct edgetpu_device *devices) {
  say("free");
  free(devices);
}

/* The structures of TensorFlow Lite's common.h, as far as they are looked at: their layout is the delegate ABI. */

struct int_array {
  int size, data[];
};
struct tensor {
  int type;
  void *data;
  struct int_array *dims;
  float scale;
  int32_t zero_point;
  int allocation;
  size_t bytes;
  const void *rest[8];
};
struct node {
  struct int_array *inputs, *outputs;
};
struct context;
struct delegate;
struct registration {
  void *(*init)(struct context *, const char *, size_t);
  void (*free)(struct context *, void *);
  int (*prepare)(struct context *, struct node *);
  int (*invoke)(struct context *, struct node *);
  const char *(*profiling)(const struct context *, const struct node *);
  int32_t builtin_code;
  const char *custom_name;
  int version;
  void *rest[4];
};
struct context {
  size_t tensor_count;
  int (*execution_plan)(struct context *, struct int_array **);
  struct tensor *tensors;
  void *impl, *resize, *report_error, *add_tensors;
  int (*node_and_registration)(struct context *, int, struct node **, struct registration **);
  int (*replace)(struct context *, struct registration, const struct int_array *, struct delegate *);
};
struct delegate {
  void *data;
  int (*prepare)(struct context *, struct delegate *);
  void *copy_from, *copy_to, *free_handle;
  int64_t flags;
  void *builder;
};
_Static_assert(sizeof(struct tensor) == 112, "the layout of TfLiteTensor");

static int kernel_prepare(struct context *context, struct node *node) {
  return (void)context, (void)node, 0;
}

static int kernel_invoke(struct context *context, struct node *node) {
  for (int i = 0; i < node->outputs->size; i++) {
    struct tensor *tensor = &context->tensors[node->outputs->data[i]];
    memset(tensor->data, 42, tensor->bytes);
    say("invoke %zu bytes", tensor->bytes);
  }
  return 0;
}

static int prepare(struct context *context, struct delegate *delegate) {
  struct int_array *plan;
  if (asked("claim nothing")) return 0;
  if (context->execution_plan(context, &plan) != 0) return 1;
  struct int_array *claimed = malloc(sizeof *claimed + (size_t)plan->size * sizeof(int));
  claimed->size = 0;
  for (int i = 0; i < plan->size; i++) {
    struct node *node;
    struct registration *registration;
    if (context->node_and_registration(context, plan->data[i], &node, &registration) != 0) return 1;
    if (registration->custom_name && strcmp(registration->custom_name, "edgetpu-custom-op") == 0) claimed->data[claimed->size++] = plan->data[i];
  }
  say("claim %d of %d", claimed->size, plan->size);
  struct registration kernel = {.prepare = kernel_prepare, .invoke = kernel_invoke, .custom_name = "stand-in", .version = 1};
  int status = context->replace(context, kernel, claimed, delegate);
  free(claimed);
  return status;
}

/* The external delegate interface */

struct delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
  for (size_t i = 0; i < count; i++) say("option %s=%s", keys[i], values[i]);
  if (asked("no delegate")) return report("the device is in use"), NULL;
  struct delegate *delegate = calloc(1, sizeof *delegate);
  delegate->prepare = prepare;
  // kTfLiteDelegateFlagsAllowDynamicTensors, as libedgetpu says: else the interpreter asks for the operator first
  delegate->flags = 1;
  say("create");
  return delegate;
}

void tflite_plugin_destroy_delegate(struct delegate *delegate) {
  say("destroy");
  free(delegate);
}
