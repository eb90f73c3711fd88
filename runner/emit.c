#define _GNU_SOURCE
#include "emit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "marker.h"
#include "version.h"

static int events_fd = STDOUT_FILENO;
static int64_t sequence;
static pthread_mutex_t writer = PTHREAD_MUTEX_INITIALIZER;
static char *line;
static size_t line_length, line_capacity;
static bool need_comma;

bool emit_open(const char *path) {
  if (strcmp(path, "-") == 0) return true;
  events_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  return events_fd >= 0;
}

void emit_sync(void) {
  fsync(events_fd);
}

static void give_up(int error) {
  dprintf(STDERR_FILENO, "edgewright-runner: cannot write events: %s\n", strerror(error));
  marker_set(false);
  _exit(error == ENOSPC || error == EDQUOT ? STATUS_DISK_FULL : STATUS_EVENTS);
}

static void append(const char *bytes, size_t count) {
  if (line_length + count > line_capacity) {
    size_t capacity = (line_length + count) * 2 + 4096;
    char *grown = realloc(line, capacity);
    if (!grown) give_up(ENOMEM);
    line = grown;
    line_capacity = capacity;
  }
  memcpy(line + line_length, bytes, count);
  line_length += count;
}

static void append_text(const char *text) {
  append(text, strlen(text));
}

/** Length of the well-formed UTF-8 sequence at s, or 0 (RFC 3629: no overlong forms, surrogates or > U+10FFFF). */
static size_t utf8_length(const unsigned char *s) {
  if (s[0] < 0x80) return 1;
  if (s[0] >= 0xc2 && s[0] <= 0xdf) return (s[1] & 0xc0) == 0x80 ? 2 : 0;
  if (s[0] >= 0xe0 && s[0] <= 0xef) {
    unsigned char low = s[0] == 0xe0 ? 0xa0 : 0x80, high = s[0] == 0xed ? 0x9f : 0xbf;
    return s[1] >= low && s[1] <= high && (s[2] & 0xc0) == 0x80 ? 3 : 0;
  }
  if (s[0] >= 0xf0 && s[0] <= 0xf4) {
    unsigned char low = s[0] == 0xf0 ? 0x90 : 0x80, high = s[0] == 0xf4 ? 0x8f : 0xbf;
    return s[1] >= low && s[1] <= high && (s[2] & 0xc0) == 0x80 && (s[3] & 0xc0) == 0x80 ? 4 : 0;
  }
  return 0;
}

static void append_quoted(const char *text) {
  const unsigned char *s = (const unsigned char *)text;
  append("\"", 1);
  while (*s) {
    size_t length = utf8_length(s);
    if (length == 0) {
      append("\xef\xbf\xbd", 3);
      s++;
    } else if (*s == '"' || *s == '\\') {
      char escaped[2] = {'\\', (char)*s++};
      append(escaped, 2);
    } else if (*s < 0x20 || *s == 0x7f) {
      char escaped[8];
      snprintf(escaped, sizeof escaped, "\\u%04x", *s++);
      append_text(escaped);
    } else {
      append((const char *)s, length);
      s += length;
    }
  }
  append("\"", 1);
}

static void append_key(const char *key) {
  if (need_comma) append(",", 1);
  need_comma = true;
  if (!key) return;
  append_quoted(key);
  append(":", 1);
}

void event_begin(const char *type) {
  pthread_mutex_lock(&writer);
  line_length = 0;
  need_comma = false;
  append("{", 1);
  event_integer("seq", sequence++);
  event_integer("t", now_ns());
  event_string("type", type);
}

void event_integer(const char *key, int64_t value) {
  char digits[24], *end = digits + sizeof digits, *at = end;
  uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
  do *--at = (char)('0' + rest % 10);
  while (rest /= 10);
  if (value < 0) *--at = '-';
  append_key(key);
  append(at, (size_t)(end - at));
}

void event_number(const char *key, double value) {
  char digits[40];
  snprintf(digits, sizeof digits, "%.17g", value);
  append_key(key);
  append_text(digits);
}

void event_string(const char *key, const char *value) {
  append_key(key);
  if (value) append_quoted(value);
  else append_text("null");
}

static void open_bracket(const char *key, const char *bracket) {
  append_key(key);
  append_text(bracket);
  need_comma = false;
}

static void close_bracket(const char *bracket) {
  append_text(bracket);
  need_comma = true;
}

void event_array(const char *key) {
  open_bracket(key, "[");
}

void event_array_end(void) {
  close_bracket("]");
}

void event_object(const char *key) {
  open_bracket(key, "{");
}

void event_object_end(void) {
  close_bracket("}");
}

void event_end(void) {
  append("}\n", 2);
  for (size_t sent = 0; sent < line_length;) {
    ssize_t count = write(events_fd, line + sent, line_length - sent);
    if (count > 0) sent += (size_t)count;
    else if (count == 0 || errno != EINTR) give_up(count == 0 ? ENOSPC : errno);
  }
  pthread_mutex_unlock(&writer);
}

void emit_error(const char *code, const char *format, ...) {
  char message[2048];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  event_begin("error");
  event_string("code", code);
  event_string("message", message);
  event_end();
}
