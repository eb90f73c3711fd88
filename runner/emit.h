#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Events as JSON lines: each line is one write(2) to a file opened for appending, so that a reader never sees two
 * lines mixed and a killed runner leaves at most its last line cut. Safe from any thread.
 * A failed write ends the process: STATUS_DISK_FULL where no space is left, STATUS_EVENTS otherwise.
 */

/** Opens PATH, `-` being stdout; false with errno set. */
bool emit_open(const char *path);
/** Forces the lines to the disk. */
void emit_sync(void);

/** Begins a line of this type and holds the writer until event_end. */
void event_begin(const char *type);
void event_integer(const char *key, int64_t value);
void event_number(const char *key, double value);
/** Writes null as JSON null; bytes that are not UTF-8 become U+FFFD. */
void event_string(const char *key, const char *value);
void event_array(const char *key);
void event_array_end(void);
void event_object(const char *key);
void event_object_end(void);
void event_end(void);

/** Emits one `error` event. Codes are stable: PLAN_INVALID, LIBRARY_OPEN, MODEL_LOAD, … */
void emit_error(const char *code, const char *format, ...) __attribute__((format(printf, 2, 3)));
