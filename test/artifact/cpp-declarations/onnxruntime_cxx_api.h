// The part of ONNX Runtime's C++ interface that an artifact's README uses, declared as its documentation states it, so
// that the programs can be checked where the real headers are not installed. Nothing here is defined.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

enum OrtLoggingLevel { ORT_LOGGING_LEVEL_WARNING = 2 };
enum OrtAllocatorType { OrtDeviceAllocator = 0, OrtArenaAllocator = 1 };
enum OrtMemType { OrtMemTypeDefault = 0 };
struct OrtMemoryInfo;

namespace Ort {
struct Env {
  Env(OrtLoggingLevel level = ORT_LOGGING_LEVEL_WARNING, const char* logid = "");
};
struct SessionOptions {
  SessionOptions();
};
struct RunOptions {
  explicit RunOptions(std::nullptr_t);
  RunOptions();
};
struct MemoryInfo {
  static MemoryInfo CreateCpu(OrtAllocatorType type, OrtMemType memory);
  operator const OrtMemoryInfo*() const;
};
struct Value {
  template <typename T>
  static Value CreateTensor(const OrtMemoryInfo* info, T* data, size_t count, const int64_t* shape, size_t shape_length);
  template <typename T>
  const T* GetTensorData() const;
};
struct Session {
  Session(const Env& env, const char* model_path, const SessionOptions& options);
  std::vector<Value> Run(const RunOptions& options, const char* const* input_names, const Value* inputs, size_t input_count,
                         const char* const* output_names, size_t output_count);
};
struct Float16_t {
  Float16_t() = default;
  operator float() const;
};
}  // namespace Ort
