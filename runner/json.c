#include "json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 16, MAX_NODES = 65536, MAX_NUMBER_LENGTH = 64, MAX_MEMBERS = 64 };

struct reader {
  const char *text;
  size_t length, at;
  size_t nodes;
  const char *reason;
};

static struct json *read_value(struct reader *r, int depth);

struct json *json_parse(const char *text, size_t length, const char **reason, size_t *offset) {
  struct reader reader = {.text = text, .length = length};
  struct json *value = read_value(&reader, 0);
  if (value) {
    while (reader.at < length && strchr(" \t\r\n", text[reader.at]) && text[reader.at]) reader.at++;
    if (reader.at < length) {
      reader.reason = "something follows the document";
      json_free(value);
      value = NULL;
    }
  }
  *reason = reader.reason;
  *offset = reader.at;
  return value;
}

void json_free(struct json *value) {
  while (value) {
    struct json *next = value->next;
    json_free(value->first);
    free(value->key);
    free(value->string);
    free(value);
    value = next;
  }
}

const struct json *json_member(const struct json *object, const char *key) {
  for (const struct json *child = object->first; child; child = child->next)
    if (strcmp(child->key, key) == 0) return child;
  return NULL;
}

static struct json *broken(struct reader *r, const char *reason) {
  if (!r->reason) r->reason = reason;
  return NULL;
}

/** The next byte that is not white space, or 0 at the end. */
static char peek(struct reader *r) {
  while (r->at < r->length) {
    char c = r->text[r->at];
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') return c;
    r->at++;
  }
  return 0;
}

static bool take(struct reader *r, const char *word) {
  size_t length = strlen(word);
  if (r->length - r->at < length || memcmp(r->text + r->at, word, length) != 0) return false;
  r->at += length;
  return true;
}

static int hex_quad(struct reader *r) {
  if (r->length - r->at < 4) return -1;
  int value = 0;
  for (int i = 0; i < 4; i++) {
    char c = r->text[r->at + (size_t)i];
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  r->at += 4;
  return value;
}

static size_t put_utf8(char *to, uint32_t code) {
  if (code < 0x80) {
    to[0] = (char)code;
    return 1;
  }
  int extra = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
  to[0] = (char)(lead[extra] | (code >> (6 * extra)));
  for (int i = 1; i <= extra; i++) to[i] = (char)(0x80 | ((code >> (6 * (extra - i))) & 0x3f));
  return (size_t)extra + 1;
}

/** One \u escape, the reader standing after the `u`; joins surrogate pairs. 0 is refused: C strings end there. */
static uint32_t escaped_code(struct reader *r) {
  int high = hex_quad(r);
  if (high <= 0 || (high >= 0xdc00 && high <= 0xdfff)) return 0;
  if (high < 0xd800 || high > 0xdbff) return (uint32_t)high;
  if (!take(r, "\\u")) return 0;
  int low = hex_quad(r);
  if (low < 0xdc00 || low > 0xdfff) return 0;
  return 0x10000u + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
}

/** Reads a string, the reader standing on its opening quote. */
static char *read_string(struct reader *r) {
  size_t end = ++r->at;
  while (end < r->length && r->text[end] != '"') end += r->text[end] == '\\' ? 2 : 1;
  if (end >= r->length) return (void)broken(r, "a string does not end"), NULL;
  char *string = malloc(end - r->at + 1), *to = string;
  if (!string) return (void)broken(r, "out of memory"), NULL;
  while (r->at < end) {
    unsigned char c = (unsigned char)r->text[r->at++];
    if (c < 0x20) goto invalid;
    if (c != '\\') {
      *to++ = (char)c;
      continue;
    }
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    char name = r->text[r->at++];
    const char *known = name ? strchr(names, name) : NULL;
    if (known) {
      *to++ = values[known - names];
    } else if (name == 'u') {
      uint32_t code = escaped_code(r);
      if (code == 0 || r->at > end) goto invalid;
      to += put_utf8(to, code);
    } else {
      goto invalid;
    }
  }
  *to = 0;
  r->at = end + 1;
  return string;
invalid:
  free(string);
  return (void)broken(r, "a string holds an invalid character or escape"), NULL;
}

static size_t digits(struct reader *r) {
  size_t start = r->at;
  while (r->at < r->length && r->text[r->at] >= '0' && r->text[r->at] <= '9') r->at++;
  return r->at - start;
}

static bool read_number(struct reader *r, double *value) {
  size_t start = r->at;
  take(r, "-");
  size_t whole = r->at, count = digits(r);
  bool valid = count > 0 && !(count > 1 && r->text[whole] == '0');
  if (valid && take(r, ".")) valid = digits(r) > 0;
  if (valid && (take(r, "e") || take(r, "E"))) {
    if (!take(r, "-")) take(r, "+");
    valid = digits(r) > 0;
  }
  char copy[MAX_NUMBER_LENGTH + 1];
  if (!valid || r->at - start > MAX_NUMBER_LENGTH) return false;
  memcpy(copy, r->text + start, r->at - start);
  copy[r->at - start] = 0;
  *value = strtod(copy, NULL);
  return *value >= -1e300 && *value <= 1e300;
}

/** Members of an array or object, the reader standing on the opening bracket. */
static bool read_children(struct reader *r, struct json *parent, int depth) {
  bool object = parent->type == JSON_OBJECT;
  char close = object ? '}' : ']';
  struct json **tail = &parent->first;
  r->at++;
  if (peek(r) == close) return r->at++, true;
  for (;;) {
    char *key = NULL;
    if (object) {
      if (peek(r) != '"') return broken(r, "a member name is missing"), false;
      if (!(key = read_string(r))) return false;
      if (parent->count == MAX_MEMBERS || json_member(parent, key) || peek(r) != ':') {
        free(key);
        return broken(r, "an object has too many members, one twice, or one without `:`"), false;
      }
      r->at++;
    }
    struct json *child = read_value(r, depth + 1);
    if (!child) return free(key), false;
    child->key = key;
    *tail = child;
    tail = &child->next;
    parent->count++;
    char c = peek(r);
    if (c == close) return r->at++, true;
    if (c != ',') return broken(r, "`,` or a closing bracket is missing"), false;
    r->at++;
  }
}

static struct json *read_value(struct reader *r, int depth) {
  if (depth > MAX_DEPTH) return broken(r, "nested too deep");
  if (++r->nodes > MAX_NODES) return broken(r, "too many values");
  struct json *value = calloc(1, sizeof *value);
  if (!value) return broken(r, "out of memory");
  char c = peek(r);
  bool ok = true;
  if (c == '{' || c == '[') {
    value->type = c == '{' ? JSON_OBJECT : JSON_ARRAY;
    ok = read_children(r, value, depth);
  } else if (c == '"') {
    value->type = JSON_STRING;
    ok = (value->string = read_string(r)) != NULL;
  } else if (c == '-' || (c >= '0' && c <= '9')) {
    value->type = JSON_NUMBER;
    ok = read_number(r, &value->number) || (broken(r, "not a number that can be held"), false);
  } else if (take(r, "true")) {
    value->type = JSON_BOOL;
    value->number = 1;
  } else if (take(r, "false")) {
    value->type = JSON_BOOL;
  } else if (!take(r, "null")) {
    ok = (broken(r, "not a JSON value"), false);
  }
  if (ok) return value;
  json_free(value);
  return NULL;
}
