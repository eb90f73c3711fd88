#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/**
 * The load and the power rails of an emulated board: plays a known waveform into the registers of an INA3221 (0x40) and
 * an INA226 (0x41), which the kernel's own drivers read, and remembers what it played. The truth is the ideal power;
 * the registers hold it rounded to their steps, as the chips would. Commands come over a virtio port from the test,
 * a line each, and each is answered by one line. All times are CLOCK_MONOTONIC, the clock of the runner.
 */

enum { MAX_CHANGES = 1 << 20, MAX_EDGES = 4096, MAX_LINE = 1024 };
enum { BUS_MV = 5000 };
/** Shunts as the device tree has them (test/lab/system-sensors.ts): 20 mΩ on each INA3221 channel, 10 mΩ on the INA226. */
#define INA3221_UA_PER_COUNT 2000.0
#define INA226_UA_PER_COUNT 250.0
#define INA226_UW_PER_COUNT 6250.0
static const char marker_path[] = "/run/lab/marker";

enum kind { CONSTANT, SQUARE, SINE };

struct wave {
  enum kind kind;
  /** SQUARE: low, high; SINE: mean, amplitude. */
  int64_t low_uw, high_uw;
  int64_t period_ns;
  /** SQUARE: how long it is high; SINE: how often it is written. */
  int64_t part_ns;
};

enum key { KEY_NONE, KEY_STEPS, KEY_MARKER };

static struct wave idle_wave = {.kind = CONSTANT, .low_uw = 1000000}, active_wave;
static enum key key;
static bool active, frozen;
/** Uniform noise of the reading, ± this much, renewed at this period; 0: none. The truth has none. */
static int64_t noise_uw, noise_period_ns;
static int shares_ppm[3] = {1000000, 450000, 250000};

static struct {
  int64_t at_ns, uw;
} changes[MAX_CHANGES];
static uint64_t change_count;
static struct {
  int64_t at_ns;
  int on;
} edges[MAX_EDGES];
static uint64_t edge_count;

static int bus_fd = -1, port_fd = -1, notify_fd = -1, marker_watch = -1, events_watch = -1, events_fd = -1;
static bool has_ina3221, has_ina226;
static pid_t runner_pid;
static char pending[65536];
static size_t pending_length;

static int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static bool write_register(int address, int reg, unsigned value) {
  // SMBus sends the low byte of a word first, these chips take the high one first.
  union i2c_smbus_data data = {.word = (uint16_t)(value >> 8 | (value & 0xff) << 8)};
  struct i2c_smbus_ioctl_data call = {.read_write = I2C_SMBUS_WRITE, .command = (uint8_t)reg, .size = I2C_SMBUS_WORD_DATA, .data = &data};
  return ioctl(bus_fd, I2C_SLAVE_FORCE, address) >= 0 && ioctl(bus_fd, I2C_SMBUS, &call) >= 0;
}

static void write_identity(void) {
  if (has_ina3221) {
    write_register(0x40, 0xfe, 0x5449), write_register(0x40, 0xff, 0x3220), write_register(0x40, 0x00, 0x7127);
    for (int channel = 0; channel < 3; channel++) write_register(0x40, 2 + 2 * channel, BUS_MV / 8 << 3);
  }
  if (has_ina226) {
    write_register(0x41, 0xfe, 0x5449), write_register(0x41, 0xff, 0x2260), write_register(0x41, 0x00, 0x4127);
    write_register(0x41, 2, (unsigned)(BUS_MV / 1.25));
  }
}

static void write_power(double uw) {
  double ua = uw * 1000 / BUS_MV;
  unsigned sum = 0;
  for (int channel = 0; has_ina3221 && channel < 3; channel++) {
    unsigned count = (unsigned)lround(ua * shares_ppm[channel] / 1e6 / INA3221_UA_PER_COUNT);
    write_register(0x40, 1 + 2 * channel, count << 3 & 0x7ff8);
    sum += count;
  }
  if (has_ina3221) write_register(0x40, 0x0d, sum << 1 & 0x7ffe);
  if (has_ina226) {
    unsigned current = (unsigned)lround(ua / INA226_UA_PER_COUNT);
    // 2.5 µV a count over 10 mΩ: the same number as the current's
    write_register(0x41, 1, current), write_register(0x41, 4, current);
    write_register(0x41, 3, (unsigned)lround(uw / INA226_UW_PER_COUNT));
  }
}

/** What the registers hold; −1: to be written whatever it is. */
static double written = -1;

/** Sets the power, from now on. */
static void set_power(int64_t uw) {
  static uint32_t state = 20261123;
  double shown = (double)uw;
  if (noise_uw) {
    state = state * 1664525 + 1013904223;
    shown += ((double)(state >> 8) / (1 << 23) - 1) * (double)noise_uw;
  }
  int64_t before = now_ns();
  if (!frozen && shown != written) write_power(written = shown < 0 ? 0 : shown);
  // Halfway through the writes; they take some ten microseconds.
  int64_t at = before + (now_ns() - before) / 2;
  if (change_count && changes[(change_count - 1) % MAX_CHANGES].uw == uw) return;
  changes[change_count % MAX_CHANGES].at_ns = at;
  changes[change_count++ % MAX_CHANGES].uw = uw;
}

/** The wave's power at a time, and when it must be written next. */
static int64_t power_at(const struct wave *wave, int64_t now, int64_t *next) {
  int64_t phase = wave->period_ns ? now % wave->period_ns : 0;
  switch (wave->kind) {
    case SQUARE:
      *next = now - phase + (phase < wave->part_ns ? wave->part_ns : wave->period_ns);
      return phase < wave->part_ns ? wave->high_uw : wave->low_uw;
    case SINE:
      *next = now - now % wave->part_ns + wave->part_ns;
      return wave->low_uw + llround((double)wave->high_uw * sin(2 * M_PI * (double)phase / (double)wave->period_ns));
    default: *next = INT64_MAX; return wave->low_uw;
  }
}

/** Writes what is due; the time of the next write. */
static int64_t play(void) {
  int64_t now = now_ns(), next;
  set_power(power_at(key != KEY_NONE && active ? &active_wave : &idle_wave, now, &next));
  if (noise_uw && now - now % noise_period_ns + noise_period_ns < next) next = now - now % noise_period_ns + noise_period_ns;
  return next;
}

/** Energy between two times in microjoules; false where the log does not reach back so far. */
static bool energy(int64_t from, int64_t to, double *uj, uint64_t *seen) {
  uint64_t first = change_count > MAX_CHANGES ? change_count - MAX_CHANGES : 0;
  *uj = 0, *seen = 0;
  if (to <= from || change_count == 0 || changes[first % MAX_CHANGES].at_ns > from || to > now_ns()) return false;
  for (uint64_t i = first; i < change_count; i++) {
    int64_t begin = changes[i % MAX_CHANGES].at_ns, end = i + 1 < change_count ? changes[(i + 1) % MAX_CHANGES].at_ns : INT64_MAX;
    if (begin > to) break;
    if (begin >= from) ++*seen;
    if (begin < from) begin = from;
    if (end > to) end = to;
    if (end > begin) *uj += (double)changes[i % MAX_CHANGES].uw * 1e-9 * (double)(end - begin);
  }
  return true;
}

static bool parse_wave(const char *text, struct wave *wave) {
  long long low, high, period_us, part_us;
  if (sscanf(text, "constant %lld", &low) == 1) return *wave = (struct wave){.kind = CONSTANT, .low_uw = low}, true;
  bool sine = strncmp(text, "sine ", 5) == 0;
  if (sscanf(text, sine ? "sine %lld %lld %lld %lld" : "square %lld %lld %lld %lld", &low, &high, &period_us, &part_us) != 4 ||
      period_us <= 0 || part_us <= 0 || part_us >= period_us)
    return false;
  *wave = (struct wave){.kind = sine ? SINE : SQUARE, .low_uw = low, .high_uw = high, .period_ns = period_us * 1000, .part_ns = part_us * 1000};
  return true;
}

static const char *write_file(const char *argument) {
  char path[512];
  int length = 0;
  if (sscanf(argument, "%511s %n", path, &length) != 1) return "no path";
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return strerror(errno);
  ssize_t done = write(fd, argument + length, strlen(argument + length));
  int failed = errno;
  close(fd);
  return done < 0 ? strerror(failed) : NULL;
}

/** Answers one command. */
static void obey(const char *command, char *answer, size_t size) {
  long long from, to;
  int a, b, c;
  double uj;
  uint64_t seen;
  const char *wrong = "not understood";
  snprintf(answer, size, "ok");
  if (strcmp(command, "clock") == 0) wrong = NULL, snprintf(answer, size, "ok %lld", (long long)now_ns());
  else if (strncmp(command, "idle ", 5) == 0) wrong = parse_wave(command + 5, &idle_wave) ? NULL : "no wave";
  else if (strncmp(command, "active ", 7) == 0) wrong = parse_wave(command + 7, &active_wave) ? NULL : "no wave";
  else if (strcmp(command, "key none") == 0) wrong = NULL, key = KEY_NONE;
  else if (strcmp(command, "key steps") == 0) wrong = NULL, key = KEY_STEPS, active = false;
  else if (strcmp(command, "key marker") == 0) wrong = NULL, key = KEY_MARKER, active = false;
  else if (sscanf(command, "frozen %d", &a) == 1) wrong = NULL, frozen = a, written = -1;
  else if (sscanf(command, "noise %lld %lld", &from, &to) == 2 && from >= 0 && to > 0) wrong = NULL, noise_uw = from, noise_period_ns = to * 1000;
  else if (sscanf(command, "shares %d %d %d", &a, &b, &c) == 3) wrong = NULL, shares_ppm[0] = a, shares_ppm[1] = b, shares_ppm[2] = c, written = -1;
  else if (strncmp(command, "write ", 6) == 0) wrong = write_file(command + 6);
  else if (sscanf(command, "energy %lld %lld", &from, &to) == 2) {
    wrong = energy(from, to, &uj, &seen) ? NULL : "not known for that time";
    if (!wrong) snprintf(answer, size, "ok %.3f %llu", uj, (unsigned long long)seen);
  } else if (sscanf(command, "edge %lld", &from) == 1 && from >= 0) {
    bool known = (uint64_t)from < edge_count && (uint64_t)from + MAX_EDGES >= edge_count;
    wrong = NULL;
    if (known) snprintf(answer, size, "ok %lld %d", (long long)edges[from % MAX_EDGES].at_ns, edges[from % MAX_EDGES].on);
    else snprintf(answer, size, "ok none");
  }
  if (wrong) snprintf(answer, size, "error %s", wrong);
}

/** False where there was nothing to read. */
static bool read_commands(void) {
  static char line[MAX_LINE];
  static size_t length;
  char answer[MAX_LINE + 1], bytes[512];
  ssize_t count = read(port_fd, bytes, sizeof bytes);
  for (ssize_t i = 0; i < count; i++) {
    if (bytes[i] != '\n') {
      if (length < sizeof line - 1) line[length++] = bytes[i];
      continue;
    }
    line[length] = 0, length = 0;
    obey(line, answer, sizeof answer - 1);
    strcat(answer, "\n");
    for (size_t sent = 0, all = strlen(answer); sent < all;) {
      ssize_t part = write(port_fd, answer + sent, all - sent);
      if (part > 0) sent += (size_t)part;
      else if (part < 0 && errno != EAGAIN && errno != EINTR) break;
      else usleep(1000);
    }
  }
  return count > 0;
}

/** What the runner says it does; a line of it may come in pieces. */
static void read_events(void) {
  for (;;) {
    ssize_t count = read(events_fd, pending + pending_length, sizeof pending - 1 - pending_length);
    if (count <= 0) return;
    pending_length += (size_t)count;
    pending[pending_length] = 0;
    char *line = pending;
    for (char *end; (end = strchr(line, '\n')); line = end + 1) {
      *end = 0;
      if (strstr(line, "\"type\":\"step\"")) active = key == KEY_STEPS ? !strstr(line, "\"do\":\"idle\"") : active;
      else if (key == KEY_STEPS && (strstr(line, "\"type\":\"done\"") || strstr(line, "\"type\":\"end\""))) active = false;
    }
    pending_length = strlen(line);
    memmove(pending, line, pending_length + 1);
    // a line of thousands of latencies is of no interest here
    if (pending_length == sizeof pending - 1) pending_length = 0;
  }
}

/** Whether a descriptor of a process is for writing: a file server of an earlier run has its events open, too. */
static bool written_by(pid_t pid, int at) {
  char path[64], text[256];
  unsigned flags = 0;
  snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", pid, at);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t count = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  text[count > 0 ? count : 0] = 0;
  const char *line = strstr(text, "flags:");
  return line && sscanf(line, "flags: %o", &flags) == 1 && (flags & O_ACCMODE) != O_RDONLY;
}

/** Finds a run by who writes its events: the runner, as its standard output or among its first descriptors. */
static void find_runner(void) {
  DIR *processes = opendir("/proc");
  for (struct dirent *entry; runner_pid == 0 && processes && (entry = readdir(processes));) {
    pid_t pid = (pid_t)atoi(entry->d_name);
    char path[64], text[512];
    if (pid <= 1 || pid == getpid()) continue;
    for (int at = 1; at < 8 && runner_pid == 0; at++) {
      snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, at);
      ssize_t count = readlink(path, text, sizeof text - 1);
      if (count < 0) break;
      if (count < 12 || strncmp(text + count - 12, "events.jsonl", 12) != 0 || !written_by(pid, at)) continue;
      text[count] = 0;
      events_fd = open(text, O_RDONLY | O_CLOEXEC);
      events_watch = inotify_add_watch(notify_fd, text, IN_MODIFY);
      if (events_fd < 0 || events_watch < 0) continue;
      runner_pid = pid;
      pending_length = 0;
      read_events();
    }
  }
  if (processes) closedir(processes);
}

static void lose_runner(void) {
  inotify_rm_watch(notify_fd, events_watch);
  close(events_fd);
  runner_pid = 0;
  if (key == KEY_STEPS) active = false;
}

static void read_notifications(void) {
  char bytes[4096] __attribute__((aligned(8)));
  ssize_t count = read(notify_fd, bytes, sizeof bytes);
  for (ssize_t at = 0; at < count;) {
    const struct inotify_event *event = (const struct inotify_event *)(bytes + at);
    at += (ssize_t)(sizeof *event + event->len);
    if (event->wd == marker_watch) {
      char text = '0';
      int fd = open(marker_path, O_RDONLY | O_CLOEXEC);
      if (fd >= 0 && read(fd, &text, 1) < 0) text = '0';
      if (fd >= 0) close(fd);
      edges[edge_count % MAX_EDGES].at_ns = now_ns();
      edges[edge_count++ % MAX_EDGES].on = text == '1';
      if (key == KEY_MARKER) active = text == '1';
    } else if (runner_pid && event->wd == events_watch) read_events();
  }
}

int main(int argc, char **argv) {
  if (argc < 3) return fputs("usage: power-wave PORT I2C-DEVICE [CHIP-ADDRESS...]\n", stderr), 2;
  for (int i = 3; i < argc; i++) has_ina3221 |= strcmp(argv[i], "0x40") == 0, has_ina226 |= strcmp(argv[i], "0x41") == 0;
  port_fd = open(argv[1], O_RDWR | O_NONBLOCK | O_CLOEXEC);
  bus_fd = argc > 3 ? open(argv[2], O_RDWR | O_CLOEXEC) : -1;
  notify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (port_fd < 0 || notify_fd < 0 || (argc > 3 && bus_fd < 0)) return perror("power-wave"), 1;
  marker_watch = inotify_add_watch(notify_fd, marker_path, IN_MODIFY);
  write_identity();
  play();
  // The drivers look at the chips from here on.
  if (daemon(0, 0) != 0) return perror("power-wave"), 1;
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_TIMERSLACK, 1);
  sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 50});

  const int64_t look_ns = 50000000;
  int64_t look = now_ns();
  for (;;) {
    int64_t next = play(), now = now_ns();
    if (now >= look) {
      // A runner is looked for only where one matters: the scan takes a millisecond.
      if (runner_pid && kill(runner_pid, 0) != 0) lose_runner();
      if (!runner_pid && key == KEY_STEPS) find_runner();
      look = now_ns() + (runner_pid || key != KEY_STEPS ? 10 * look_ns : look_ns);
      continue;
    }
    if (look < next) next = look;
    // a port that nobody listens to is hung up and readable at once, over and over
    struct pollfd files[2] = {{.fd = notify_fd, .events = POLLIN}, {.fd = port_fd, .events = POLLIN}};
    static bool hung;
    struct timespec rest = {.tv_sec = next > now ? (next - now) / 1000000000 : 0, .tv_nsec = next > now ? (next - now) % 1000000000 : 0};
    if (ppoll(files, hung ? 1 : 2, &rest, NULL) <= 0) {
      hung = false;
      continue;
    }
    if (files[0].revents) read_notifications();
    if (!hung && files[1].revents) hung = !((files[1].revents & POLLIN) && read_commands());
  }
}
