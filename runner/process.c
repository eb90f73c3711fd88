#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emit.h"

_Static_assert(MAX_CPUS <= CPU_SETSIZE, "an affinity must fit a cpu_set_t");

static cpu_set_t all_cpus, current_cpus;
static bool remembered;

void affinity_remember(void) {
  remembered = sched_getaffinity(0, sizeof all_cpus, &all_cpus) == 0;
  current_cpus = all_cpus;
}

bool affinity_apply(const struct plan_artifact *artifact) {
  cpu_set_t wanted = all_cpus;
  if (artifact->affinity_count) CPU_ZERO(&wanted);
  for (size_t i = 0; i < artifact->affinity_count; i++) CPU_SET((size_t)artifact->affinity[i], &wanted);
  if (!artifact->affinity_count && !remembered) return true;
  if (remembered && CPU_EQUAL(&wanted, &current_cpus)) return true;
  if (sched_setaffinity(0, sizeof wanted, &wanted) != 0)
    return emit_error("AFFINITY", "%s: cannot pin to the CPUs asked for: %s", artifact->id, strerror(errno)), false;
  current_cpus = wanted;
  return true;
}

void affinity_beside(const struct plan *plan, const struct plan_step *step) {
  if (!remembered) return;
  cpu_set_t others = all_cpus;
  for (size_t i = 0; i < step->artifact_count; i++) {
    const struct plan_artifact *artifact = &plan->artifacts[step->artifacts[i]];
    for (size_t c = 0; c < artifact->affinity_count; c++) CPU_CLR((size_t)artifact->affinity[c], &others);
  }
  // Where it fails the thread stays where it is: sampling is possible anywhere.
  sched_setaffinity(0, sizeof others, CPU_COUNT(&others) ? &others : &all_cpus);
}

/** A `Name:  123 kB` line of /proc/self/status in bytes, or 0. */
static int64_t status_bytes(const char *text, const char *name) {
  const char *line = strstr(text, name);
  return line ? strtoll(line + strlen(name), NULL, 10) * 1024 : 0;
}

static bool read_status(char *text, size_t size) {
  int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  ssize_t count = fd < 0 ? -1 : read(fd, text, size - 1);
  if (fd >= 0) close(fd);
  text[count > 0 ? count : 0] = 0;
  return count > 0;
}

int64_t resident_bytes(void) {
  char text[4096];
  return read_status(text, sizeof text) ? status_bytes(text, "\nVmRSS:") : 0;
}

void emit_memory(void) {
  char text[4096];
  read_status(text, sizeof text);
  event_begin("memory");
  event_integer("peakRssBytes", status_bytes(text, "\nVmHWM:"));
  event_integer("rssBytes", status_bytes(text, "\nVmRSS:"));
  event_end();
}
