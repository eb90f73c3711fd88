/**
 * The least code that can time ONNX Runtime: what the runner's figures are held against (bench/runner-overhead.ts).
 *
 *   bare-loop LIBRARY MODEL RUNS WARMUP    prints latencies in nanoseconds, one a line, then `rss <VmHWM in kB>`
 *
 * Float input, one thread, zeros in; the table positions are those of runner/ort_api.h, from which they are included.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../runner/ort_api.h"
#include "../runner/tensor.h"

#define MUST(call)                                                              \
  do {                                                                          \
    ort_status *status = (call);                                                \
    if (status) return fprintf(stderr, "%s\n", ORT(api, GetErrorMessage)(status)), 1; \
  } while (0)

static int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  void *handle = dlopen(argv[1], RTLD_NOW);
  if (!handle) return fprintf(stderr, "%s\n", dlerror()), 1;
  const struct ort_api_base *(*get_base)(void);
  *(void **)&get_base = dlsym(handle, "OrtGetApiBase");
  const ort_function *api = get_base()->get_api(ORT_API_VERSION_ASKED);
  ort_env *env;
  ort_options *options;
  ort_session *session;
  ort_memory_info *memory;
  ort_allocator *allocator;
  ort_type_info *type;
  const ort_tensor_info *tensor;
  MUST(ORT(api, CreateEnv)(ORT_LOG_ERROR, "bare", &env));
  MUST(ORT(api, CreateSessionOptions)(&options));
  MUST(ORT(api, SetIntraOpNumThreads)(options, 1));
  MUST(ORT(api, SetInterOpNumThreads)(options, 1));
  MUST(ORT(api, SetSessionGraphOptimizationLevel)(options, ORT_OPTIMIZE_ALL));
  MUST(ORT(api, CreateSession)(env, argv[2], options, &session));
  MUST(ORT(api, CreateCpuMemoryInfo)(ORT_ARENA_ALLOCATOR, ORT_MEMORY_DEFAULT, &memory));
  MUST(ORT(api, GetAllocatorWithDefaultOptions)(&allocator));
  char *input_name, *output_name;
  size_t rank, elements = 1;
  int64_t shape[16];
  MUST(ORT(api, SessionGetInputName)(session, 0, allocator, &input_name));
  MUST(ORT(api, SessionGetOutputName)(session, 0, allocator, &output_name));
  MUST(ORT(api, SessionGetInputTypeInfo)(session, 0, &type));
  MUST(ORT(api, CastTypeInfoToTensorInfo)(type, &tensor));
  MUST(ORT(api, GetDimensionsCount)(tensor, &rank));
  MUST(ORT(api, GetDimensions)(tensor, shape, rank));
  for (size_t i = 0; i < rank; i++) elements *= (size_t)(shape[i] < 0 ? (shape[i] = 1) : shape[i]);
  float *data = calloc(elements, sizeof *data);
  const ort_value *input;
  MUST(ORT(api, CreateTensorWithDataAsOrtValue)(memory, data, elements * sizeof *data, shape, rank, ELEMENT_FLOAT32, (ort_value **)&input));

  int runs = atoi(argv[3]), warmup = atoi(argv[4]);
  int64_t *ns = malloc(sizeof *ns * (size_t)runs);
  for (int i = -warmup; i < runs; i++) {
    ort_value *output = NULL;
    int64_t start = now_ns();
    ort_status *status = ORT(api, Run)(session, NULL, (const char *const *)&input_name, &input, 1, (const char *const *)&output_name, 1, &output);
    int64_t took = now_ns() - start;
    MUST(status);
    ORT(api, ReleaseValue)(output);
    if (i >= 0) ns[i] = took;
  }
  for (int i = 0; i < runs; i++) printf("%lld\n", (long long)ns[i]);
  char line[256];
  FILE *file = fopen("/proc/self/status", "r");
  while (file && fgets(line, sizeof line, file))
    if (strncmp(line, "VmHWM:", 6) == 0) printf("rss %ld\n", strtol(line + 6, NULL, 10));
  return 0;
}
