#include "tensor.h"

#include <stdint.h>

static const struct {
  const char *name;
  unsigned bits;
} elements[] = {
    [ELEMENT_FLOAT32] = {"float32", 32}, [ELEMENT_UINT8] = {"uint8", 8},      [ELEMENT_INT8] = {"int8", 8},
    [ELEMENT_UINT16] = {"uint16", 16},   [ELEMENT_INT16] = {"int16", 16},     [ELEMENT_INT32] = {"int32", 32},
    [ELEMENT_INT64] = {"int64", 64},     [ELEMENT_STRING] = {"string", 0},    [ELEMENT_BOOL] = {"bool", 8},
    [ELEMENT_FLOAT16] = {"float16", 16}, [ELEMENT_FLOAT64] = {"float64", 64}, [ELEMENT_UINT32] = {"uint32", 32},
    [ELEMENT_UINT64] = {"uint64", 64},   [ELEMENT_BFLOAT16] = {"bfloat16", 16}, [ELEMENT_UINT4] = {"uint4", 4},
    [ELEMENT_INT4] = {"int4", 4},
};

const char *element_name(int element) {
  size_t known = sizeof elements / sizeof *elements;
  return element > 0 && (size_t)element < known && elements[element].name ? elements[element].name : "other";
}

bool tensor_bytes(int element, const struct shape *shape, size_t *bytes) {
  size_t known = sizeof elements / sizeof *elements;
  if (element <= 0 || (size_t)element >= known || elements[element].bits == 0) return false;
  uint64_t count = 1;
  for (size_t i = 0; i < shape->rank; i++)
    if (shape->dimensions[i] < 0 || __builtin_mul_overflow(count, (uint64_t)shape->dimensions[i], &count) || count > (1u << 30)) return false;
  uint64_t size = (count * elements[element].bits + 7) / 8;
  *bytes = (size_t)size;
  return size <= (1u << 30);
}
