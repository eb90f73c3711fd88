#include "marker.h"

#include <fcntl.h>
#include <unistd.h>

static int marker_fd = -1;

bool marker_open(const char *path) {
  if (marker_fd < 0) marker_fd = open(path, O_WRONLY | O_CLOEXEC);
  return marker_fd >= 0;
}

bool marker_set(bool on) {
  return marker_fd < 0 || pwrite(marker_fd, on ? "1" : "0", 1, 0) == 1;
}
