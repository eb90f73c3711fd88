#!/bin/sh
# A STAND-IN for NVIDIA's trtexec, for emulated boards that have no GPU: it computes nothing. It holds its command line to
# the options that the TensorRT release which it plays documents, answers with logs and files of the documented form, and
# refuses and fails as asked. Its times are made up. Release and faults: /etc/trtexec-stand-in, `key=value` lines.
LC_ALL=C
export LC_ALL
self=TensorRT.trtexec
version=8502 fault='' int8=1 dla=0 slow=0 jitter=3 ratio=100
state=/tmp/trtexec-stand-in
mkdir -p "$state"
[ ! -r /etc/trtexec-stand-in ] || . /etc/trtexec-stand-in
line="$0"
for word in "$@"; do line="$line $word"; done
printf '%s\n' "$line" >>"$state/calls"

common='onnx= saveEngine= loadEngine= minShapes= optShapes= maxShapes= inputIOFormats= outputIOFormats= memPoolSize=
  profilingVerbosity= avgTiming= refit sparsity= noTF32 calib= safe tacticSources= timingCacheFile= useDLACore=
  allowGPUFallback plugins= shapes= loadInputs= iterations= warmUp= duration= sleepTime= idleTime= exposeDMA
  noDataTransfers useManagedMemory useSpinWait threads useCudaGraph timeDeserialize timeRefit separateProfileRun
  verbose avgRuns= percentile= dumpRefit dumpOutput dumpProfile dumpLayerInfo exportTimes= exportOutput=
  exportProfile= exportLayerInfo= device= help directIO restricted'
weak='int8 fp16 best precisionConstraints= layerPrecisions= layerOutputTypes='
case $version in
  8[0-5]*) banner="[TensorRT v$version]" options="$common $weak uff= model= deploy= output= uffInput= uffNHWC batch= maxBatch= explicitBatch workspace= minTiming= streams= buildOnly noBuilderCache nvtxMode= consistency" ;;
  86*) banner="[TensorRT v$version]" options="$common $weak workspace= minTiming= skipInference versionCompatible builderOptimizationLevel= hardwareCompatibilityLevel= noBuilderCache streams= infStreams=" ;;
  10*) banner="[TensorRT v$version] [b30]" options="$common $weak bf16 fp8 int4 stronglyTyped skipInference versionCompatible builderOptimizationLevel= hardwareCompatibilityLevel= noBuilderCache infStreams= getPlanVersionOnly runtimePlatform= maxAuxStreams=" ;;
  11*) banner="[TensorRT v$version] [b51]" options="$common skipInference versionCompatible builderOptimizationLevel= hardwareCompatibilityLevel= noBuilderCache infStreams= getPlanVersionOnly includeDataTransfers noCudaGraph maxAuxStreams=" ;;
  *) echo "the stand-in does not play TensorRT $version" >&2; exit 70 ;;
esac

say() { printf '[11/23/2026-12:00:00] [I] %s\n' "$*"; }
warn() { printf '[11/23/2026-12:00:00] [W] %s\n' "$*" >&2; }
error() { printf '[11/23/2026-12:00:00] [E] %s\n' "$*" >&2; }
fail() { echo "&&&& FAILED $self $banner # $line"; exit 1; }
pass() { echo "&&&& PASSED $self $banner # $line"; exit 0; }

echo "&&&& RUNNING $self $banner # $line"
[ "$fault" != library ] || { echo "trtexec: error while loading shared libraries: libnvinfer.so.8: cannot open shared object file: No such file or directory" >&2; exit 127; }

help() {
  echo '=== Model Options ==='
  for option in $options; do
    case $option in *=) echo "  --${option%=}=spec            as the release documents it" ;; *) echo "  --$option                  as the release documents it" ;; esac
  done
}

onnx='' save='' load='' times='' profile='' precision=FP32 only='' core='' fallback='' warm=200 iterations=10 transfers=1 graph=0 spin=0 strong='' cache=''
case $version in 11*) transfers=0 graph=1 spin=1 strong=1 ;; esac
unknown=''
for word in "$@"; do
  name=${word%%=*}
  name=${name#--}
  known=''
  for option in $options; do
    case $option in
      "$name=") case $word in --*=?*) known=1 ;; esac ;;
      "$name") case $word in *=*) ;; --*) known=1 ;; esac ;;
    esac
  done
  [ -n "$known" ] || { unknown="$unknown $word"; continue; }
  value=${word#*=}
  case $name in
    help) help; exit 0 ;;
    onnx) onnx=$value ;;
    saveEngine) save=$value ;;
    loadEngine) load=$value ;;
    exportTimes) times=$value ;;
    exportProfile) profile=$value ;;
    fp16) precision=$precision+FP16 ;;
    int8) precision=$precision+INT8 ;;
    stronglyTyped) strong=1 ;;
    buildOnly|skipInference) only=$name ;;
    useDLACore) core=$value ;;
    allowGPUFallback) fallback=1 ;;
    warmUp) warm=$value ;;
    iterations) iterations=$value ;;
    timingCacheFile) cache=$value ;;
    noDataTransfers) transfers=0 ;;
    includeDataTransfers) transfers=1 ;;
    useCudaGraph) graph=1 ;;
    noCudaGraph) graph=0 ;;
    useSpinWait) spin=1 ;;
  esac
done
if [ -n "$unknown" ]; then
  for word in $unknown; do error "Unknown option: ${word%%=*} "; done
  help
  fail
fi
[ -n "$onnx$load" ] || { error 'Model missing or format not recognized'; help; fail; }
[ -z "$load" ] || [ -z "$save" ] || { error 'Incompatible load and save engine options selected'; help; fail; }

say '=== Build Options ==='
say "Precision: $precision"
say "Save engine: $save"
say "Load engine: $load"
say '=== Device Information ==='
say 'Selected Device: Orin (stand-in: there is no GPU here)'
say "TensorRT version: $version"
if [ "$fault" = hostile ]; then
  printf '\033]0;owned\007\033[2J\033[31m[E] In node 1 with name: \033[5m"; rm -rf / and operator: $(reboot) (x): no\n'
  n=0; while [ "$n" -lt 300 ]; do n=$((n + 1)); printf 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'; done
  exit 1
fi
[ "$fault" != cuda ] || { error 'Cuda failure: unknown error'; exit 134; }

if [ -n "$onnx" ]; then
  [ -r "$onnx" ] || { error "Could not open file $onnx"; error 'Failed to parse onnx file'; error 'Engine set up failed'; fail; }
  say "Start parsing network model."
  if [ "$fault" = node ]; then
    case $version in
      8*)
        error '[TRT] ModelImporter.cpp:726: While parsing node number 73 [GridSample -> "/decoder/GridSample_output_0"]:'
        error '[TRT] ModelImporter.cpp:732: ERROR: builtin_op_importers.cpp:4951 In function importFallbackPluginImporter:'
        printf '%s\n' '[8] Assertion failed: creator && "Plugin not found, are the plugin name, version, and namespace correct?"' >&2 ;;
      *) error 'In node 11 with name: /decoder/GridSample and operator: GridSample3D (checkFallbackPluginImporter): INVALID_NODE: creator && "Plugin not found, are the plugin name, version, and namespace correct?"' ;;
    esac
    error 'Failed to parse onnx file'
    say 'Finished parsing network model. Parse time: 0.0123456'
    error 'Parsing model failed'
    error 'Failed to create engine from model or file.'
    error 'Engine set up failed'
    fail
  fi
  say 'Finished parsing network model. Parse time: 0.0123456'
  if [ -n "$core" ]; then
    [ "$core" -lt "$dla" ] || { error "Cannot create DLA engine, $core not available"; error 'Network And Config setup failed'; error 'Building engine failed'; error 'Engine set up failed'; fail; }
    [ -z "$fallback" ] || warn "[TRT] Layer 'softmax' (SOFTMAX): Unsupported on DLA. Switching this layer's device type to GPU."
  fi
  if grep -q QuantizeLinear "$onnx"; then
    case $precision$strong in
      *INT8*) ;;
      *1) precision=$precision+INT8 ;;
      *) error 'Error[4]: [network.cpp::validateExplicitQuantization::2] Error Code 4: Internal Error (conv1: Int8 precision has been set for a layer or layer output, but int8 is not configured in the builder)'; error 'Engine could not be created from network'; fail ;;
    esac
  fi
  if [ "$int8" = 0 ]; then
    case $precision in *INT8*) error 'Error[9]: [standardEngineBuilder.cpp::buildEngine::2072] Error Code 9: Internal Error (Networks with QuantizeLayer/DequantizeLayer layers require hardware with Int8 support.)'; error 'Engine could not be created from network'; fail ;; esac
  fi
  warn '[TRT] Requested amount of GPU memory (4294967296 bytes) could not be allocated. There may not be enough free memory for allocation to succeed.'
  case $fault in
    memory)
      error 'Error[2]: [virtualMemoryBuffer.cpp::resizePhysical::144] Error Code 2: OutOfMemory (no further information)'
      error 'Engine could not be created from network'
      fail ;;
    killed) kill -KILL $$ ;;
    crash) kill -SEGV $$ ;;
    odd) error 'Something that nobody has seen before'; fail ;;
  esac
  [ "$slow" = 0 ] || sleep "$slow"
  n=0
  [ ! -s "$cache" ] || read -r n <"$cache"
  [ -z "$cache" ] || echo "$((n + 1))" >"$cache"
  read -r digest _ <<EOT
$(sha256sum "$onnx")
EOT
  {
    printf 'trtexec stand-in engine\n%s\n%s\n%s\n' "$version" "$precision${strong:+ strong}" "$digest"
    cat "$onnx"
  } >"$save" 2>/dev/null || { error 'Saving engine to file failed.'; error 'Engine set up failed'; fail; }
  say 'Engine built in 12.5 sec.'
else
  [ -r "$load" ] || { error "Error opening engine file: $load"; error 'Engine set up failed'; fail; }
  { read -r magic && read -r tag && read -r precision; } <"$load"
  if [ "$magic" != 'trtexec stand-in engine' ]; then
    error 'Error[1]: [stdArchiveReader.cpp::StdArchiveReader::32] Error Code 1: Serialization (Serialization assertion magicTagRead == kMAGIC_TAG failed.Magic tag does not match)'
    error 'Engine deserialization failed'; error 'Got invalid engine!'; error 'Inference set up failed'; fail
  fi
  if [ "$tag" != "$version" ]; then
    error 'Error[1]: [stdArchiveReader.cpp::StdArchiveReader::40] Error Code 1: Serialization (Serialization assertion stdVersionRead == serializationVersion failed.Version tag does not match. Note: Current Version: 232, Serialized Engine Version: 205)'
    error 'Error[4]: [runtime.cpp::deserializeCudaEngine::66] Error Code 4: Internal Error (Engine deserialization failed.)'
    error 'Engine deserialization failed'; error 'Got invalid engine!'; error 'Inference set up failed'; fail
  fi
  say 'Engine loaded in 0.0123 sec.'
fi
if [ -n "$only" ]; then
  say "Skipped inference phase since --$only is added."
  pass
fi
say 'Starting inference'
[ "$slow" = 0 ] || sleep "$slow"

# microseconds, by what the engine may compute in; `ratio` percent for int8
case $precision in
  *INT8*) compute=$((1000 * ratio / 100)) ;;
  *FP16*) compute=1600 ;;
  *strong*) compute=1500 ;;
  *) compute=4200 ;;
esac
h2d=0 d2h=0
[ "$transfers" = 0 ] || { h2d=120; d2h=40; }
# no subshell: a fork is dear under emulation
ms() {
  fraction=$(($2 % 1000 + 1000))
  eval "$1=$(($2 / 1000)).${fraction#1}"
}
ms h2d_ms $h2d
ms d2h_ms $d2h
if [ -n "$times" ]; then
  at=$((warm * 1000 + 500)) seed=12345 n=0
  {
    echo '['
    comma='  '
    while [ "$n" -lt "$iterations" ]; do
      n=$((n + 1))
      seed=$(((seed * 1103515245 + 12345) & 2147483647))
      took=$((compute + seed / 65536 % (compute * jitter / 100 + 1)))
      ms enq $((at - 30)); ms enq_end $((at - 10)); ms start "$at"; ms a $((at + h2d)); ms b $((at + h2d + took))
      ms c $((at + h2d + took + d2h)); ms took_ms "$took"; ms latency $((h2d + took + d2h))
      printf '%s{ "startEnqMs" : %s, "endEnqMs" : %s, "startH2dMs" : %s, "endH2dMs" : %s, "startComputeMs" : %s, "endComputeMs" : %s, "startD2hMs" : %s, "endD2hMs" : %s, "h2dMs" : %s, "computeMs" : %s, "d2hMs" : %s, "latencyMs" : %s }\n' \
        "$comma" "$enq" "$enq_end" "$start" "$a" "$a" "$b" "$b" "$c" "$h2d_ms" "$took_ms" "$d2h_ms" "$latency"
      comma=', '
      at=$((at + h2d + took + d2h))
    done
    echo ']'
  } >"$times" || fail
fi
if [ -n "$profile" ]; then
  {
    printf '[\n  { "count" : 20 }\n'
    printf ', { "name" : "Reformatting CopyNode for Input Tensor 0 to conv1", "timeMs" : 1.2, "averageMs" : 0.06, "medianMs" : 0.059, "percentage" : 6 }\n'
    printf ', { "name" : "conv1/Conv + PWN(conv1/"Relu")", "timeMs" : 16, "averageMs" : 0.8, "medianMs" : 0.79, "percentage" : 80 }\n'
    printf ', { "name" : "Reformatting CopyNode for Output Tensor 0 to dense", "timeMs" : 0.8, "averageMs" : 0.04, "medianMs" : 0.04, "percentage" : 4 }\n'
    printf ', { "name" : "dense/MatMul", "timeMs" : 2, "averageMs" : 0.1, "medianMs" : 0.1, "percentage" : 10 }\n]\n'
  } >"$profile" || fail
fi
say "Warmup completed 10 queries over $warm ms"
say "Timing trace has $iterations queries over 1.0 s"
say '=== Performance summary ==='
say 'Throughput: 800.1 qps'
ms median "$compute"
say "GPU Compute Time: min = $median ms, max = 9 ms, mean = 1 ms, median = $median ms, percentile(99%) = 9 ms"
pass
