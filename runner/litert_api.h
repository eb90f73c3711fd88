#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * The part of LiteRT's C API that the runner calls, looked up by name. Its functions changed their arguments between
 * releases: these are those of libLiteRt.so 2.3, known by a function that 2.3 added (LITERT_MARK).
 */

#define LITERT_MARK "LiteRtCompiledModelIsNonCpuFullyAccelerated"

enum { LITERT_OK = 0, LITERT_CPU = 1, LITERT_LOCK_READ = 0, LITERT_LOCK_WRITE = 1, LITERT_MAX_RANK = 8 };

/** Opaque objects of the library. */
typedef struct litert_environment litert_environment;
typedef struct litert_model litert_model;
typedef struct litert_options litert_options;
typedef struct litert_opaque litert_opaque;
typedef struct litert_compiled litert_compiled;
typedef struct litert_signature litert_signature;
typedef struct litert_subgraph litert_subgraph;
typedef struct litert_tensor litert_tensor;
typedef struct litert_buffer litert_buffer;
typedef struct litert_requirements litert_requirements;
typedef struct litert_profiler litert_profiler;

/** LiteRtEnvOption, of which the runner gives whole numbers only. */
struct litert_environment_option {
  int tag;
  struct {
    int type;
    int64_t value;
  } any;
};

enum {
  /** Which accelerators register themselves; any but the CPU's is looked for all over the library path. */
  LITERT_OPTION_ACCELERATORS = 24,
  LITERT_OPTION_LOG_SEVERITY = 25,
  LITERT_ANY_INTEGER = 2,
  LITERT_LOG_WARNING = 2,
};

struct litert_layout {
  unsigned rank : 7;
  bool has_strides : 1;
  int32_t dimensions[LITERT_MAX_RANK];
  uint32_t strides[LITERT_MAX_RANK];
};

/** `element` is a TfLiteType (tflite_api.h). */
struct litert_type {
  int element;
  struct litert_layout layout;
};

#define LITERT_FUNCTIONS(F)                                                                \
  F(int, CreateEnvironment, int option_count, const struct litert_environment_option *, litert_environment **) \
  F(int, CreateModelFromBuffer, litert_environment *, const void *bytes, size_t count, litert_model **) \
  F(void, DestroyModel, litert_model *)                                                    \
  F(int, CreateOptions, litert_options **)                                                 \
  F(void, DestroyOptions, litert_options *)                                                \
  F(int, SetOptionsHardwareAccelerators, litert_options *, int set)                        \
  F(int, CreateOpaqueOptions, const char *identifier, void *payload, void (*release)(void *), litert_opaque **) \
  F(int, AddOpaqueOptions, litert_options *, litert_opaque *)                              \
  F(int, CreateCompiledModel, litert_environment *, litert_model *, litert_options *, litert_compiled **) \
  F(void, DestroyCompiledModel, litert_compiled *)                                         \
  F(int, GetModelSignature, litert_model *, size_t index, litert_signature **)             \
  F(int, GetSignatureSubgraph, litert_signature *, litert_subgraph **)                     \
  F(int, GetNumSignatureInputs, litert_signature *, size_t *count)                         \
  F(int, GetNumSignatureOutputs, litert_signature *, size_t *count)                        \
  F(int, GetSignatureInputTensorByIndex, litert_signature *, size_t index, litert_tensor **) \
  F(int, GetSignatureOutputTensorByIndex, litert_signature *, size_t index, litert_tensor **) \
  F(int, GetNumSubgraphInputs, litert_subgraph *, size_t *count)                           \
  F(int, GetNumSubgraphOutputs, litert_subgraph *, size_t *count)                          \
  F(int, GetSubgraphInput, litert_subgraph *, size_t index, litert_tensor **)              \
  F(int, GetSubgraphOutput, litert_subgraph *, size_t index, litert_tensor **)             \
  F(int, GetTensorName, litert_tensor *, const char **)                                    \
  F(int, GetTensorTypeId, litert_tensor *, int *)                                          \
  F(int, GetRankedTensorType, litert_tensor *, struct litert_type *)                       \
  F(int, CompiledModelResizeInputTensor, litert_compiled *, size_t signature, size_t input, const int *dimensions, size_t rank) \
  F(int, GetCompiledModelOutputTensorLayouts, litert_compiled *, size_t signature, size_t count, struct litert_layout *, bool update) \
  F(int, GetCompiledModelInputBufferRequirements, litert_compiled *, size_t signature, size_t input, litert_requirements **) \
  F(int, GetCompiledModelOutputBufferRequirements, litert_compiled *, size_t signature, size_t output, litert_requirements **) \
  F(int, CreateManagedTensorBufferFromRequirements, litert_environment *, const struct litert_type *, litert_requirements *, litert_buffer **) \
  F(int, GetTensorBufferPackedSize, litert_buffer *, size_t *bytes)                        \
  F(int, LockTensorBuffer, litert_buffer *, void **data, int mode)                         \
  F(int, UnlockTensorBuffer, litert_buffer *)                                              \
  F(void, DestroyTensorBuffer, litert_buffer *)                                            \
  F(int, RunCompiledModel, litert_compiled *, size_t signature, size_t input_count, litert_buffer **inputs, size_t output_count, litert_buffer **outputs)

#define LITERT_MEMBER(result, name, ...) result (*name)(__VA_ARGS__);
struct litert_api {
  LITERT_FUNCTIONS(LITERT_MEMBER)
};
