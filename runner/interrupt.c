#include "interrupt.h"

#include <signal.h>
#include <string.h>

#include "clock.h"

static volatile sig_atomic_t signal_seen;

static void on_signal(int number) {
  signal_seen = number;
}

void interrupt_install(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  action.sa_flags = (int)SA_RESETHAND;
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  // A host that stops reading must not kill the run by SIGPIPE or SIGHUP: write(2) says so instead.
  action.sa_handler = SIG_IGN;
  action.sa_flags = 0;
  sigaction(SIGPIPE, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
}

bool interrupted(void) {
  return signal_seen != 0;
}

bool sleep_until_ns(int64_t due_ns) {
  // In slices: the kernel may hand the signal to a thread of the runtime, which does not wake this one.
  const int64_t slice_ns = 50000000;
  for (int64_t now = now_ns(); now < due_ns; now = now_ns()) {
    if (interrupted()) return false;
    int64_t until = due_ns - now > slice_ns ? now + slice_ns : due_ns;
    struct timespec time = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
  }
  return !interrupted();
}
