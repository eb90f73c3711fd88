#pragma once

#include "session.h"

/** LiteRT as TensorFlow Lite, behind TFLite's C API (tflite_api.h): the one that takes delegates and gives operator times. */
extern const struct backend tflite_backend;

/** A TfLiteType as an element type, ELEMENT_NONE where it has no plain bytes; and back, TFL_NONE where TFLite has none. */
int tflite_element(int type);
int tflite_type(int element);
