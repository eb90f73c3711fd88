#define _GNU_SOURCE
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "interrupt.h"

extern char **environ;

static int start(char *const *argv, int output_fd, pid_t *pid);
static bool read_to_end(int fd, int64_t deadline_ns, char *text);
static bool wait_for(pid_t pid, int64_t deadline_ns, int *status);

int command_run(char *const *argv, int64_t deadline_ns, char text[MAX_COMMAND_BYTES + 1]) {
  int ends[2];
  pid_t pid;
  text[0] = 0;
  int failed = pipe2(ends, O_CLOEXEC) != 0 ? errno : 0;
  if (!failed) {
    failed = start(argv, ends[1], &pid);
    close(ends[1]);
    if (failed) close(ends[0]);
  }
  if (failed) return snprintf(text, MAX_COMMAND_BYTES, "%s: %s", argv[0], strerror(failed)), -1;

  int status = 0;
  bool ended = read_to_end(ends[0], deadline_ns, text) && wait_for(pid, deadline_ns, &status);
  close(ends[0]);
  if (ended) return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  kill(-pid, SIGKILL);
  // Bounded: a process that hangs in a driver does not die of a signal.
  wait_for(pid, now_ns() + 1000000000, &status);
  return -1;
}

/** 0, or what went wrong as errno has it. */
static int start(char *const *argv, int output_fd, pid_t *pid) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t none, ignored;
  sigemptyset(&none);
  sigemptyset(&ignored);
  sigaddset(&ignored, SIGPIPE);
  sigaddset(&ignored, SIGHUP);
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, output_fd, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &ignored);
  int failed = posix_spawnp(pid, argv[0], &files, &attributes, argv, environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  return failed;
}

/** False where it prints too much or too long. */
static bool read_to_end(int fd, int64_t deadline_ns, char *text) {
  size_t filled = 0;
  for (;;) {
    int64_t rest_ns = deadline_ns - now_ns();
    if (rest_ns <= 0 || interrupted()) return false;
    // In slices: the signal is another thread's.
    struct pollfd output = {.fd = fd, .events = POLLIN};
    int ready = poll(&output, 1, rest_ns > 100000000 ? 100 : (int)(rest_ns / 1000000) + 1);
    if (ready < 0 && errno != EINTR) return false;
    if (ready <= 0) continue;
    char more[1];
    bool full = filled == MAX_COMMAND_BYTES;
    ssize_t count = read(fd, full ? more : text + filled, full ? sizeof more : MAX_COMMAND_BYTES - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) return true;
    if (count < 0 || full) return false;
    filled += (size_t)count;
    text[filled] = 0;
  }
}

static bool wait_for(pid_t pid, int64_t deadline_ns, int *status) {
  const struct timespec pause = {.tv_nsec = 1000000};
  for (;;) {
    pid_t done = waitpid(pid, status, WNOHANG);
    if (done == pid || (done < 0 && errno != EINTR)) return done == pid;
    if (now_ns() >= deadline_ns) return false;
    nanosleep(&pause, NULL);
  }
}
