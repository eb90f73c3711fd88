#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tflite_api.h"

/** Operator times as trace events, in the form of ONNX Runtime's profile (one a line), so that one reader takes both. */
struct trace;

/** Writes to PREFIX.json; NULL with errno set. */
struct trace *trace_open(const char *prefix);
/** What the interpreter is given. */
struct tfl_profiler *trace_calls(struct trace *profile);
void trace_run(struct trace *profile, int64_t start_ns, int64_t ns);
/** Ends the file: its name (malloc), or NULL where it could not be written. */
char *trace_end(struct trace *profile);
void trace_free(struct trace *profile);
