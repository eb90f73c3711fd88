#include "sensors.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "emit.h"

static pthread_t thread;
static atomic_bool running, stopping;

/** The number at the start of a small file; false where there is none. */
static bool read_number(const char *path, double *value) {
  char text[64];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return false;
  ssize_t count = read(fd, text, sizeof text - 1);
  close(fd);
  if (count <= 0) return false;
  text[count] = 0;
  char *end;
  *value = strtod(text, &end);
  return end != text && *value > -1e300 && *value < 1e300;
}

static void *sample(void *argument) {
  const struct plan *plan = argument;
  const int64_t slice_ns = 20000000;
  int64_t due = now_ns();
  while (!atomic_load(&stopping)) {
    int64_t now = now_ns();
    if (now < due) {
      // In slices, so that stopping does not wait a long period out.
      int64_t until = due - now > slice_ns ? now + slice_ns : due;
      struct timespec time = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
      continue;
    }
    for (size_t i = 0; i < plan->sensor_count; i++) {
      double value;
      if (!read_number(plan->sensors[i].path, &value)) continue;
      event_begin("sensor");
      event_string("name", plan->sensors[i].name);
      event_number("value", value);
      event_end();
    }
    // Missed periods are skipped: a burst of late samples would say nothing new.
    while (due <= now) due += plan->sensor_period_ns;
  }
  return NULL;
}

void sensors_start(const struct plan *plan) {
  if (plan->sensor_count == 0) return;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  int failed = pthread_create(&thread, &attributes, sample, (void *)plan);
  pthread_attr_destroy(&attributes);
  if (failed) emit_error("SENSORS", "cannot start the sensor thread; the run goes on without sensors");
  atomic_store(&running, !failed);
}

void sensors_stop(void) {
  if (!atomic_load(&running)) return;
  atomic_store(&stopping, true);
  pthread_join(thread, NULL);
  atomic_store(&running, false);
}
