#define _GNU_SOURCE
#include "meters.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "clock.h"
#include "command.h"
#include "emit.h"
#include "marker.h"
#include "process.h"

enum { MAX_RING = 16384, MAX_SAMPLES_PER_LINE = 1024 };
#define WRITE_PERIOD_NS INT64_C(1000000000)
/** What the disk may hold the writer up for before samples are lost. */
#define RING_NS INT64_C(8000000000)
#define REOPEN_PERIOD_NS INT64_C(1000000000)
#define COMMAND_DEADLINE_NS INT64_C(5000000000)

struct sampler {
  const struct plan_meter *meter;
  pthread_t thread;
  bool running;
  /** Open from the first metered step to the end of the process; −1 where it could not be opened. */
  int fds[MAX_METER_PATHS];
  int64_t reopen_ns[MAX_METER_PATHS];
  /** One producer, one consumer; both counts only grow. NAN stands for no number. */
  size_t capacity;
  int64_t *at_ns, *spent_ns;
  double *values;
  atomic_size_t filled, taken;
  char *text;
};

static struct sampler samplers[MAX_METERS];
static size_t sampler_count, step_index;
static const struct plan *plan;
static pthread_t writer;
static bool writer_running;
static int stop_fd = -1;
static atomic_bool stopping;

static bool prepare(struct sampler *sampler, const struct plan_meter *meter);
static bool start(pthread_t *thread, void *(*body)(void *), void *argument);
static void *sample_files(void *argument);
static void *sample_command(void *argument);
static void *write_samples(void *argument);
static void write_all_samples(void);

void meters_begin(const struct plan *of, size_t step) {
  if (!plan) {
    plan = of;
    stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (size_t i = 0; i < plan->meter_count; i++) {
      if (stop_fd >= 0 && prepare(&samplers[sampler_count], &plan->meters[i])) sampler_count++;
      else emit_error("METERS", "%s: out of memory or descriptors; the run goes on without it", plan->meters[i].name);
    }
    if (plan->marker && !marker_open(plan->marker)) emit_error("METERS", "cannot open the marker %s: %s", plan->marker, strerror(errno));
  }
  step_index = step;
  atomic_store(&stopping, false);
  bool files = false;
  for (size_t i = 0; i < sampler_count; i++) {
    struct sampler *sampler = &samplers[i];
    bool has_files = sampler->meter->path_count > 0;
    sampler->running = start(&sampler->thread, has_files ? sample_files : sample_command, sampler);
    if (!sampler->running) emit_error("METERS", "%s: cannot start its thread; the step goes on without it", sampler->meter->name);
    files = files || (has_files && sampler->running);
  }
  writer_running = files && start(&writer, write_samples, NULL);
  if (!marker_set(true)) emit_error("METERS", "cannot write the marker %s: %s", plan->marker, strerror(errno));
}

void meters_end(void) {
  marker_set(false);
  uint64_t count = 1;
  atomic_store(&stopping, true);
  if (stop_fd >= 0 && write(stop_fd, &count, sizeof count) < 0) count = 0;
  for (size_t i = 0; i < sampler_count; i++)
    if (samplers[i].running) pthread_join(samplers[i].thread, NULL);
  if (writer_running) pthread_join(writer, NULL);
  if (stop_fd >= 0 && read(stop_fd, &count, sizeof count) < 0) count = 0;
  write_all_samples();
}

static bool prepare(struct sampler *sampler, const struct plan_meter *meter) {
  sampler->meter = meter;
  if (meter->path_count == 0) return (sampler->text = malloc(MAX_COMMAND_BYTES + 1)) != NULL;
  for (size_t i = 0; i < meter->path_count; i++) sampler->fds[i] = open(meter->paths[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  sampler->capacity = (size_t)(RING_NS / meter->period_ns) + 16;
  if (sampler->capacity > MAX_RING) sampler->capacity = MAX_RING;
  sampler->at_ns = malloc(sampler->capacity * sizeof *sampler->at_ns);
  sampler->spent_ns = malloc(sampler->capacity * sizeof *sampler->spent_ns);
  sampler->values = malloc(sampler->capacity * meter->path_count * sizeof *sampler->values);
  if (!sampler->at_ns || !sampler->spent_ns || !sampler->values) return false;
  // Touched now: a page fault would fall into a measurement.
  memset(sampler->at_ns, 0xff, sampler->capacity * sizeof *sampler->at_ns);
  memset(sampler->spent_ns, 0xff, sampler->capacity * sizeof *sampler->spent_ns);
  memset(sampler->values, 0xff, sampler->capacity * meter->path_count * sizeof *sampler->values);
  return true;
}

static bool start(pthread_t *thread, void *(*body)(void *), void *argument) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  int failed = pthread_create(thread, &attributes, body, argument);
  pthread_attr_destroy(&attributes);
  return failed == 0;
}

/** Every thread of this file: beside what is measured, woken on time, and no signal is handed to it. */
static void settle(void) {
  sigset_t all;
  sigfillset(&all);
  // The thread's own mask on Linux; pthread_sigmask would bind to a newer glibc.
  sigprocmask(SIG_BLOCK, &all, NULL);
  prctl(PR_SET_TIMERSLACK, 1);
  affinity_beside(plan, &plan->steps[step_index]);
}

/** False once the step has ended. */
static bool wait_until(int64_t due_ns) {
  for (int64_t now = now_ns(); now < due_ns && !atomic_load(&stopping); now = now_ns()) {
    struct pollfd stop = {.fd = stop_fd, .events = POLLIN};
    struct timespec rest = {.tv_sec = (due_ns - now) / 1000000000, .tv_nsec = (due_ns - now) % 1000000000};
    ppoll(&stop, 1, &rest, NULL);
  }
  return !atomic_load(&stopping);
}

static int64_t next_due(int64_t due_ns, int64_t period_ns) {
  int64_t now = now_ns();
  return due_ns + period_ns * (now < due_ns ? 1 : (now - due_ns) / period_ns + 1);
}

/** The number a small file begins with, NAN where there is none. Whole numbers, which sensors give, take the short way. */
static double number_in(char *text, size_t length) {
  size_t i = text[0] == '-';
  int64_t whole = 0;
  while (i < length && i < 16 && text[i] >= '0' && text[i] <= '9') whole = whole * 10 + (text[i++] - '0');
  if (i > (text[0] == '-') && i < length && (text[i] == '\n' || text[i] == ' ')) return (double)(text[0] == '-' ? -whole : whole);
  char *end;
  text[length] = 0;
  double value = strtod(text, &end);
  return end != text && value > -1e300 && value < 1e300 ? value : NAN;
}

/** One system call where all is well. A driver that was bound again has a new file behind the same path. */
static double read_number(struct sampler *sampler, size_t index) {
  char text[64];
  int *fd = &sampler->fds[index];
  for (int tries = 0; tries < 2; tries++) {
    if (*fd < 0) {
      int64_t now = now_ns();
      if (now < sampler->reopen_ns[index]) return NAN;
      sampler->reopen_ns[index] = now + REOPEN_PERIOD_NS;
      *fd = open(sampler->meter->paths[index], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
      if (*fd < 0) return NAN;
    }
    ssize_t count = pread(*fd, text, sizeof text - 1, 0);
    if (count > 0) return number_in(text, (size_t)count);
    if (count == 0 || (errno != ENODEV && errno != ENXIO && errno != EBADF && errno != ESTALE)) return NAN;
    close(*fd);
    *fd = -1;
  }
  return NAN;
}

static void *sample_files(void *argument) {
  struct sampler *sampler = argument;
  const struct plan_meter *meter = sampler->meter;
  settle();
  for (int64_t due = now_ns(); wait_until(due); due = next_due(due, meter->period_ns)) {
    size_t filled = atomic_load_explicit(&sampler->filled, memory_order_relaxed);
    // Where the writer is held up for longer than the ring is, samples are lost, and their times are missing.
    if (filled - atomic_load_explicit(&sampler->taken, memory_order_acquire) == sampler->capacity) continue;
    size_t slot = filled % sampler->capacity;
    double *values = sampler->values + slot * meter->path_count;
    int64_t at_ns = now_ns();
    for (size_t i = 0; i < meter->path_count; i++) values[i] = read_number(sampler, i);
    sampler->spent_ns[slot] = now_ns() - at_ns;
    sampler->at_ns[slot] = at_ns;
    atomic_store_explicit(&sampler->filled, filled + 1, memory_order_release);
  }
  return NULL;
}

static void *sample_command(void *argument) {
  struct sampler *sampler = argument;
  settle();
  for (int64_t due = now_ns(); wait_until(due); due = next_due(due, sampler->meter->period_ns)) {
    int64_t at_ns = now_ns();
    int status = command_run(sampler->meter->words, at_ns + COMMAND_DEADLINE_NS, sampler->text);
    int64_t spent_ns = now_ns() - at_ns;
    event_begin("reading");
    event_integer("step", (int64_t)step_index);
    event_string("name", sampler->meter->name);
    event_integer("at", at_ns);
    event_integer("spent", spent_ns);
    event_integer("exit", status);
    event_string("text", sampler->text);
    event_end();
  }
  return NULL;
}

static void *write_samples(void *argument) {
  settle();
  for (int64_t due = now_ns() + WRITE_PERIOD_NS; wait_until(due); due = next_due(due, WRITE_PERIOD_NS)) write_all_samples();
  return argument;
}

static void write_value(double value) {
  if (isnan(value)) event_string(NULL, NULL);
  else if (value > -9e15 && value < 9e15 && value == (double)(int64_t)value) event_integer(NULL, (int64_t)value);
  else event_number(NULL, value);
}

static void write_line(const struct sampler *sampler, size_t from, size_t to) {
  size_t width = sampler->meter->path_count;
  event_begin("meter");
  event_integer("step", (int64_t)step_index);
  event_string("name", sampler->meter->name);
  event_array("at");
  for (size_t i = from; i < to; i++) event_integer(NULL, sampler->at_ns[i % sampler->capacity]);
  event_array_end();
  event_array("spent");
  for (size_t i = from; i < to; i++) event_integer(NULL, sampler->spent_ns[i % sampler->capacity]);
  event_array_end();
  event_array("values");
  for (size_t i = from; i < to; i++) {
    event_array(NULL);
    for (size_t w = 0; w < width; w++) write_value(sampler->values[i % sampler->capacity * width + w]);
    event_array_end();
  }
  event_array_end();
  event_end();
}

/** From the writer's thread while sampling goes on, from the main one when it has ended: never from both. */
static void write_all_samples(void) {
  for (size_t i = 0; i < sampler_count; i++) {
    struct sampler *sampler = &samplers[i];
    if (!sampler->capacity) continue;
    size_t filled = atomic_load_explicit(&sampler->filled, memory_order_acquire);
    size_t taken = atomic_load_explicit(&sampler->taken, memory_order_relaxed);
    while (taken < filled) {
      size_t to = filled - taken > MAX_SAMPLES_PER_LINE ? taken + MAX_SAMPLES_PER_LINE : filled;
      write_line(sampler, taken, to);
      taken = to;
      atomic_store_explicit(&sampler->taken, taken, memory_order_release);
    }
  }
}
