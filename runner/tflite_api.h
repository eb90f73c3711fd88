#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/**
 * The part of TFLite's C API that the runner calls, looked up by name. libLiteRtRuntimeCApi.so (ai-edge-litert up to
 * 2.0.3) exports it, and so does the libtensorflowlite_c.so that boards ship; libLiteRt.so of 2.1 and later does not.
 */

/** Opaque objects of the library. */
typedef struct tfl_model tfl_model;
typedef struct tfl_options tfl_options;
typedef struct tfl_interpreter tfl_interpreter;
typedef struct tfl_tensor tfl_tensor;
typedef struct tfl_delegate tfl_delegate;

/** Called with printf's arguments. */
typedef void (*tfl_report)(void *user_data, const char *format, va_list arguments);

enum { TFL_OK = 0 };

/** TfLiteType. */
enum tfl_type {
  TFL_NONE, TFL_FLOAT32, TFL_INT32, TFL_UINT8, TFL_INT64, TFL_STRING, TFL_BOOL, TFL_INT16, TFL_COMPLEX64, TFL_INT8,
  TFL_FLOAT16, TFL_FLOAT64, TFL_COMPLEX128, TFL_UINT64, TFL_RESOURCE, TFL_VARIANT, TFL_UINT32, TFL_UINT16, TFL_INT4, TFL_BFLOAT16,
};

/** TfLiteTelemetryProfilerStruct: the interpreter calls it around every operator. */
struct tfl_profiler {
  void *data;
  void (*event)(struct tfl_profiler *, const char *name, uint64_t status);
  void (*operator_event)(struct tfl_profiler *, const char *name, int64_t index, int64_t subgraph, uint64_t status);
  void (*settings)(struct tfl_profiler *, const char *name, const void *settings);
  uint32_t (*begin_operator)(struct tfl_profiler *, const char *name, int64_t index, int64_t subgraph);
  void (*end_operator)(struct tfl_profiler *, uint32_t handle);
  /** For what measures itself, as a delegate's own operators do; microseconds. */
  void (*operator_took)(struct tfl_profiler *, const char *name, uint64_t us, int64_t index, int64_t subgraph);
};

/** The start of TfLiteXNNPackDelegateOptions; the rest is longer than any release's and handed on untouched. */
struct tfl_xnnpack_options {
  int32_t threads;
  uint32_t flags;
  char rest[1016];
};

/** Every library has these: TensorFlow Lite 2.5 and later. */
#define TFL_REQUIRED(F)                                                                    \
  F(const char *, Version, void)                                                           \
  F(tfl_model *, ModelCreateFromFile, const char *path)                                    \
  F(void, ModelDelete, tfl_model *)                                                        \
  F(tfl_options *, InterpreterOptionsCreate, void)                                         \
  F(void, InterpreterOptionsDelete, tfl_options *)                                         \
  F(void, InterpreterOptionsSetNumThreads, tfl_options *, int32_t threads)                 \
  F(void, InterpreterOptionsSetErrorReporter, tfl_options *, tfl_report, void *user_data)  \
  F(void, InterpreterOptionsAddDelegate, tfl_options *, tfl_delegate *)                    \
  F(tfl_interpreter *, InterpreterCreate, const tfl_model *, const tfl_options *)          \
  F(void, InterpreterDelete, tfl_interpreter *)                                            \
  F(int32_t, InterpreterGetInputTensorCount, const tfl_interpreter *)                      \
  F(tfl_tensor *, InterpreterGetInputTensor, const tfl_interpreter *, int32_t index)       \
  F(int32_t, InterpreterGetOutputTensorCount, const tfl_interpreter *)                     \
  F(const tfl_tensor *, InterpreterGetOutputTensor, const tfl_interpreter *, int32_t index) \
  F(int, InterpreterResizeInputTensor, tfl_interpreter *, int32_t index, const int *dimensions, int32_t rank) \
  F(int, InterpreterAllocateTensors, tfl_interpreter *)                                    \
  F(int, InterpreterInvoke, tfl_interpreter *)                                             \
  F(int, TensorType, const tfl_tensor *)                                                   \
  F(int32_t, TensorNumDims, const tfl_tensor *)                                            \
  F(int32_t, TensorDim, const tfl_tensor *, int32_t index)                                 \
  F(size_t, TensorByteSize, const tfl_tensor *)                                            \
  F(void *, TensorData, const tfl_tensor *)                                                \
  F(const char *, TensorName, const tfl_tensor *)

/** NULL where the library lacks them. */
#define TFL_OPTIONAL(F)                                                                    \
  F(tfl_model *, ModelCreateFromFileWithErrorReporter, const char *path, tfl_report, void *user_data) \
  F(void, InterpreterOptionsSetTelemetryProfiler, tfl_options *, struct tfl_profiler *)    \
  F(int, OpaqueTensorGetNumDimsSignature, const tfl_tensor *, int32_t *rank)               \
  F(int, OpaqueTensorGetDimSignature, const tfl_tensor *, int32_t index, int32_t *dimension) \
  F(struct tfl_xnnpack_options, XNNPackDelegateOptionsDefault, void)                       \
  F(tfl_delegate *, XNNPackDelegateCreate, const struct tfl_xnnpack_options *)             \
  F(void, XNNPackDelegateDelete, tfl_delegate *)

#define TFL_MEMBER(result, name, ...) result (*name)(__VA_ARGS__);
struct tfl_api {
  TFL_REQUIRED(TFL_MEMBER)
  TFL_OPTIONAL(TFL_MEMBER)
};
