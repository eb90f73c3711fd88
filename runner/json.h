#pragma once

#include <stdbool.h>
#include <stddef.h>

/** A small JSON reader for plans: one document, bounded depth and node count, UTF-8 strings without NUL. */

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
  enum json_type type;
  /** Name in the object that holds it, else NULL. */
  char *key;
  /** JSON_BOOL: 0 or 1; JSON_NUMBER: always finite. */
  double number;
  char *string;
  /** Children of an array or object, in order. */
  struct json *first, *next;
  size_t count;
};

/** Parses text[0..length); NULL with a reason (a constant) and the byte offset where it is broken. */
struct json *json_parse(const char *text, size_t length, const char **reason, size_t *offset);
void json_free(struct json *value);
/** The member of an object, or NULL. */
const struct json *json_member(const struct json *object, const char *key);
