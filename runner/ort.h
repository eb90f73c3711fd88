#pragma once

#include "session.h"

/** ONNX Runtime behind its C API (ort_api.h). */
extern const struct backend ort_backend;
