#include "delegate.h"

#include <dlfcn.h>
#include <stdio.h>

#include "emit.h"
#include "session.h"

/** Of libedgetpu's edgetpu_c.h. */
enum edgetpu_type { EDGETPU_APEX_PCI, EDGETPU_APEX_USB };
struct edgetpu_device {
  enum edgetpu_type type;
  const char *path;
};
struct edgetpu {
  const char *(*version)(void);
  struct edgetpu_device *(*list_devices)(size_t *count);
  void (*free_devices)(struct edgetpu_device *);
};

/** The interface reports errors without saying whose they are. */
static char reported[512];

static void report(const char *message) {
  snprintf(reported, sizeof reported, ": %s", message ? message : "");
}

/** All three or none. */
static struct edgetpu edgetpu_of(void *library) {
  struct edgetpu edgetpu;
  *(void **)&edgetpu.version = dlsym(library, "edgetpu_version");
  *(void **)&edgetpu.list_devices = dlsym(library, "edgetpu_list_devices");
  *(void **)&edgetpu.free_devices = dlsym(library, "edgetpu_free_devices");
  return edgetpu.version && edgetpu.list_devices && edgetpu.free_devices ? edgetpu : (struct edgetpu){0};
}

static bool has_device(const struct edgetpu *edgetpu) {
  size_t count = 0;
  struct edgetpu_device *devices = edgetpu->list_devices(&count);
  if (devices) edgetpu->free_devices(devices);
  return count > 0;
}

bool delegate_open(struct delegate *delegate, const char *id, const struct plan_delegate *plan) {
  char message[1024];
  *delegate = (struct delegate){.library = plan->library};
  void *library = library_handle(plan->library, message, sizeof message);
  if (!library) return emit_error("DELEGATE_OPEN", "%s: %s", id, message), false;
  tfl_delegate *(*create)(char **keys, char **values, size_t count, void (*report)(const char *));
  *(void **)&create = dlsym(library, "tflite_plugin_create_delegate");
  *(void **)&delegate->destroy = dlsym(library, "tflite_plugin_destroy_delegate");
  if (!create || !delegate->destroy) return emit_error("DELEGATE_OPEN", "%s: %s: not a TFLite delegate", id, plan->library), false;
  struct edgetpu edgetpu = edgetpu_of(library);
  if (edgetpu.version) {
    delegate->version = edgetpu.version();
    if (!has_device(&edgetpu)) return emit_error("DELEGATE_DEVICE", "%s: %s sees no Edge TPU", id, plan->library), false;
  }
  reported[0] = 0;
  delegate->handle = create(plan->keys, plan->values, plan->option_count, report);
  if (!delegate->handle) return emit_error("DELEGATE_FAILED", "%s: %s makes no delegate%s", id, plan->library, reported), false;
  return true;
}

void delegate_close(struct delegate *delegate) {
  if (delegate->handle) delegate->destroy(delegate->handle);
  delegate->handle = NULL;
}

bool delegate_describe(const char *path, char *message, size_t message_size) {
  void *library = library_handle(path, message, message_size);
  if (!library) return false;
  if (!dlsym(library, "tflite_plugin_create_delegate"))
    return snprintf(message, message_size, "%s: not a TFLite delegate", path), false;
  struct edgetpu edgetpu = edgetpu_of(library);
  event_string("version", edgetpu.version ? edgetpu.version() : NULL);
  event_array("devices");
  size_t count = 0;
  struct edgetpu_device *devices = edgetpu.version ? edgetpu.list_devices(&count) : NULL;
  for (size_t i = 0; devices && i < count; i++) {
    event_object(NULL);
    event_string("type", devices[i].type == EDGETPU_APEX_USB ? "usb" : "pci");
    event_string("path", devices[i].path);
    event_object_end();
  }
  if (devices) edgetpu.free_devices(devices);
  event_array_end();
  return true;
}
