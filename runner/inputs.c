#define _GNU_SOURCE
#include "inputs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emit.h"

static bool close_shape(struct session *session, size_t index);
static void fill_random(int element, void *to, size_t bytes, uint64_t seed);

bool inputs_bind(struct session *session) {
  const struct plan_artifact *plan = session->plan;
  if ((plan->input_count && plan->input_count != session->input_count) ||
      (plan->shape_count && plan->shape_count != session->input_count))
    return emit_error("INPUT_COUNT", "%s: the model has %zu inputs, the plan gives %zu files and %zu shapes", plan->id,
                      session->input_count, plan->input_count, plan->shape_count), false;
  for (size_t i = 0; i < session->input_count; i++)
    if (!close_shape(session, i)) return false;
  if (session->backend->prepare && !session->backend->prepare(session)) return false;
  for (size_t i = 0; i < session->input_count; i++) {
    const struct tensor_info *info = &session->inputs[i];
    size_t bytes;
    if (!tensor_bytes(info->element, &info->shape, &bytes))
      return emit_error("INPUT_UNSUPPORTED", "%s: input %s is %s or larger than 1 GiB", plan->id, info->name, element_name(info->element)), false;
    if (!feed_input(session, &session->feed, i, bytes)) return false;
    void *data = session->feed.data[i];
    if (plan->input_count) {
      int fd = input_open(session, plan->inputs[i], bytes);
      bool read = fd >= 0 && input_read(session, fd, plan->inputs[i], data, bytes);
      if (fd >= 0) close(fd);
      if (!read) return false;
    } else {
      fill_random(info->element, data, bytes, plan->seed + i * UINT64_C(0x9e3779b97f4a7c15));
    }
  }
  return true;
}

/** The plan's shape where it has one (it must agree with what the model fixes), else the model's with 1 for open dimensions. */
static bool close_shape(struct session *session, size_t index) {
  struct tensor_info *info = &session->inputs[index];
  const struct plan_artifact *plan = session->plan;
  const struct shape *wanted = plan->shape_count ? &plan->shapes[index] : NULL;
  if (wanted && wanted->rank != info->shape.rank)
    return emit_error("INPUT_SHAPE", "%s: input %s has rank %zu, the plan says %zu", plan->id, info->name, info->shape.rank, wanted->rank), false;
  for (size_t d = 0; d < info->shape.rank; d++) {
    int64_t *dimension = &info->shape.dimensions[d];
    if (wanted && *dimension >= 0 && *dimension != wanted->dimensions[d])
      return emit_error("INPUT_SHAPE", "%s: dimension %zu of input %s is %lld, the plan says %lld", plan->id, d, info->name,
                        (long long)*dimension, (long long)wanted->dimensions[d]), false;
    if (*dimension < 0) *dimension = wanted ? wanted->dimensions[d] : 1, info->resized = true;
  }
  return true;
}

int input_open(const struct session *session, const char *path, uint64_t bytes) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
  if (size >= 0 && (uint64_t)size == bytes && lseek(fd, 0, SEEK_SET) == 0) return fd;
  if (size < 0) emit_error("INPUT_FILE", "%s: cannot open %s: %s", session->plan->id, path, strerror(errno));
  else emit_error("INPUT_FILE", "%s: %s holds %lld bytes, %llu are needed", session->plan->id, path, (long long)size, (unsigned long long)bytes);
  if (fd >= 0) close(fd);
  return -1;
}

bool input_read(const struct session *session, int fd, const char *path, void *to, size_t bytes) {
  for (size_t filled = 0; filled < bytes;) {
    ssize_t count = read(fd, (char *)to + filled, bytes - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0)
      return emit_error("INPUT_FILE", "%s: cannot read %s: %s", session->plan->id, path, count < 0 ? strerror(errno) : "it ends early"), false;
    filled += (size_t)count;
  }
  return true;
}

/** SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/** Near-normal, mean 0 and variance 1, within ±3.47: the sum of four uniform 16-bit numbers, scaled. Needs no libm. */
static float next_normal(uint64_t *state) {
  uint64_t bits = next_random(state);
  int sum = (int)(bits & 0xffff) + (int)(bits >> 16 & 0xffff) + (int)(bits >> 32 & 0xffff) + (int)(bits >> 48);
  return (float)(sum - 131070) / 37837.0f;
}

/** IEEE half by truncation: every value drawn is normal in half precision or becomes zero. */
static uint16_t half_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  int exponent = (int)(bits >> 23 & 0xff) - 127 + 15;
  uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
  return exponent <= 0 ? sign : (uint16_t)(sign | exponent << 10 | (bits >> 13 & 0x3ff));
}

/**
 * Reals are near-normal; 8- and 16-bit integers take their whole range; wider integers, which are mostly indexes,
 * and bool are 0 or 1.
 */
static void fill_random(int element, void *to, size_t bytes, uint64_t seed) {
  uint64_t state = seed;
  unsigned char *at = to;
  size_t width;
  const struct shape one = {.rank = 0};
  tensor_bytes(element, &one, &width);
  for (size_t i = 0; i + width <= bytes; i += width) {
    uint64_t value = 0;
    if (element == ELEMENT_FLOAT32 || element == ELEMENT_BFLOAT16 || element == ELEMENT_FLOAT16) {
      float real = next_normal(&state);
      uint32_t bits;
      memcpy(&bits, &real, sizeof bits);
      value = element == ELEMENT_FLOAT32 ? bits : element == ELEMENT_BFLOAT16 ? bits >> 16 : half_bits(real);
    } else if (element == ELEMENT_FLOAT64) {
      double real = next_normal(&state);
      memcpy(&value, &real, sizeof value);
    } else {
      value = next_random(&state) >> 8;
      if (width > 2 || element == ELEMENT_BOOL) value &= 1;
    }
    memcpy(at + i, &value, width);
  }
}
