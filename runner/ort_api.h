#pragma once

#include <stddef.h>
#include <stdint.h>

/**
 * The part of ONNX Runtime's C API that the runner calls. OrtApi is a table of function pointers to which releases
 * only append, so a position, once published, is for good: a table asked for as version 16 (ONNX Runtime 1.16)
 * is served by every later library. Positions: onnxruntime_c_api.h, struct OrtApi; its static assertions fix
 * ReleaseCustomOpDomain at 101 and ReleaseModelMetadata at 118, and a test reads real values through the rest.
 */

enum { ORT_API_VERSION_ASKED = 16 };

typedef void (*ort_function)(void);

struct ort_api_base {
  const ort_function *(*get_api)(uint32_t version);
  const char *(*get_version_string)(void);
};

/** Opaque objects of the library; a status is NULL when all went well. */
typedef struct ort_status ort_status;
typedef struct ort_env ort_env;
typedef struct ort_options ort_options;
typedef struct ort_session ort_session;
typedef struct ort_value ort_value;
typedef struct ort_type_info ort_type_info;
typedef struct ort_tensor_info ort_tensor_info;
typedef struct ort_memory_info ort_memory_info;
typedef struct ort_allocator ort_allocator;

#define ORT_DECLARE(name, position, result, ...) \
  enum { name##_position = position };           \
  typedef result (*name##_function)(__VA_ARGS__);

ORT_DECLARE(GetErrorMessage, 2, const char *, const ort_status *)
ORT_DECLARE(CreateEnv, 3, ort_status *, int level, const char *name, ort_env **)
ORT_DECLARE(CreateSession, 7, ort_status *, const ort_env *, const char *path, const ort_options *, ort_session **)
ORT_DECLARE(Run, 9, ort_status *, ort_session *, const void *run_options, const char *const *input_names,
            const ort_value *const *inputs, size_t input_count, const char *const *output_names, size_t output_count,
            ort_value **outputs)
ORT_DECLARE(CreateSessionOptions, 10, ort_status *, ort_options **)
ORT_DECLARE(SetSessionExecutionMode, 13, ort_status *, ort_options *, int mode)
ORT_DECLARE(EnableProfiling, 14, ort_status *, ort_options *, const char *prefix)
ORT_DECLARE(SetSessionGraphOptimizationLevel, 23, ort_status *, ort_options *, int level)
ORT_DECLARE(SetIntraOpNumThreads, 24, ort_status *, ort_options *, int)
ORT_DECLARE(SetInterOpNumThreads, 25, ort_status *, ort_options *, int)
ORT_DECLARE(SessionGetInputCount, 30, ort_status *, const ort_session *, size_t *)
ORT_DECLARE(SessionGetOutputCount, 31, ort_status *, const ort_session *, size_t *)
ORT_DECLARE(SessionGetInputTypeInfo, 33, ort_status *, const ort_session *, size_t, ort_type_info **)
ORT_DECLARE(SessionGetOutputTypeInfo, 34, ort_status *, const ort_session *, size_t, ort_type_info **)
ORT_DECLARE(SessionGetInputName, 36, ort_status *, const ort_session *, size_t, ort_allocator *, char **)
ORT_DECLARE(SessionGetOutputName, 37, ort_status *, const ort_session *, size_t, ort_allocator *, char **)
ORT_DECLARE(CreateTensorWithDataAsOrtValue, 49, ort_status *, const ort_memory_info *, void *data, size_t bytes,
            const int64_t *shape, size_t rank, int element_type, ort_value **)
ORT_DECLARE(IsTensor, 50, ort_status *, const ort_value *, int *)
ORT_DECLARE(GetTensorMutableData, 51, ort_status *, ort_value *, void **)
ORT_DECLARE(CastTypeInfoToTensorInfo, 55, ort_status *, const ort_type_info *, const ort_tensor_info **)
ORT_DECLARE(GetTensorElementType, 60, ort_status *, const ort_tensor_info *, int *)
ORT_DECLARE(GetDimensionsCount, 61, ort_status *, const ort_tensor_info *, size_t *)
ORT_DECLARE(GetDimensions, 62, ort_status *, const ort_tensor_info *, int64_t *, size_t)
ORT_DECLARE(GetTensorShapeElementCount, 64, ort_status *, const ort_tensor_info *, size_t *)
ORT_DECLARE(GetTensorTypeAndShape, 65, ort_status *, const ort_value *, ort_tensor_info **)
ORT_DECLARE(CreateCpuMemoryInfo, 69, ort_status *, int allocator_type, int memory_type, ort_memory_info **)
ORT_DECLARE(AllocatorFree, 76, ort_status *, ort_allocator *, void *)
ORT_DECLARE(GetAllocatorWithDefaultOptions, 78, ort_status *, ort_allocator **)
ORT_DECLARE(ReleaseStatus, 93, void, ort_status *)
ORT_DECLARE(ReleaseSession, 95, void, ort_session *)
ORT_DECLARE(ReleaseValue, 96, void, ort_value *)
ORT_DECLARE(ReleaseTypeInfo, 98, void, ort_type_info *)
ORT_DECLARE(ReleaseTensorTypeAndShapeInfo, 99, void, ort_tensor_info *)
ORT_DECLARE(ReleaseSessionOptions, 100, void, ort_options *)
ORT_DECLARE(SessionEndProfiling, 110, ort_status *, ort_session *, ort_allocator *, char **)

/** The function at a position of the table, typed. */
#define ORT(table, name) ((name##_function)(table)[name##_position])

enum { ORT_LOG_ERROR = 3, ORT_SEQUENTIAL = 0, ORT_OPTIMIZE_ALL = 99, ORT_ARENA_ALLOCATOR = 1, ORT_MEMORY_DEFAULT = 0 };
