#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "plan.h"

/** Element types, numbered as ONNX's TensorProto.DataType, which is how ONNX Runtime numbers them too. */
enum element {
  ELEMENT_NONE = 0, ELEMENT_FLOAT32, ELEMENT_UINT8, ELEMENT_INT8, ELEMENT_UINT16, ELEMENT_INT16, ELEMENT_INT32, ELEMENT_INT64,
  ELEMENT_STRING, ELEMENT_BOOL, ELEMENT_FLOAT16, ELEMENT_FLOAT64, ELEMENT_UINT32, ELEMENT_UINT64, ELEMENT_COMPLEX64,
  ELEMENT_COMPLEX128, ELEMENT_BFLOAT16, ELEMENT_UINT4 = 21, ELEMENT_INT4 = 22,
};

struct tensor_info {
  char *name;
  /** ELEMENT_NONE where the value is no tensor. */
  int element;
  /** -1 where the model leaves a dimension open (inputs: after binding, none is open). */
  struct shape shape;
  /** An input of which the file left a dimension open: it was closed by the plan, or by 1. */
  bool resized;
};

/** Bytes of a tensor of this element type and (closed) shape, packed; false beyond 1 GiB or for types without a size. */
bool tensor_bytes(int element, const struct shape *shape, size_t *bytes);
const char *element_name(int element);
