#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "tflite_api.h"
#include "plan.h"

/**
 * A TFLite delegate from a shared library: the external delegate interface (tflite_plugin_create_delegate and
 * tflite_plugin_destroy_delegate) that libedgetpu, Arm NN and others export. Of libedgetpu, edgetpu_version and
 * edgetpu_list_devices are asked first, so that a missing device is named.
 */
struct delegate {
  tfl_delegate *handle;
  void (*destroy)(tfl_delegate *);
  const char *library;
  /** What edgetpu_version says; NULL for other delegates. */
  const char *version;
};

/** False after an error event that names `id`. */
bool delegate_open(struct delegate *delegate, const char *id, const struct plan_delegate *plan);
void delegate_close(struct delegate *delegate);

/** Writes the members `version` and `devices` into the event under way; false with a sentence where it is no delegate. */
bool delegate_describe(const char *path, char *message, size_t message_size);
