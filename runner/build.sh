#!/bin/sh
# Builds edgewright-runner for linux-arm64 and linux-x64: build.sh [OUT], OUT being runner/prebuilt unless given.
# Same compiler, same bytes: fixed flags, no paths, times or build ids inside. BUILD.json records the compilers.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/prebuilt}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$here"
export SOURCE_DATE_EPOCH=0 LC_ALL=C

sources='compat/start.c command.c delegate.c emit.c infer.c inputs.c interrupt.c json.c litert.c main.c marker.c meters.c ort.c plan.c process.c sensors.c session.c steps.c tensor.c tflite.c trace.c'

# build NAME PREFIX LIBRARIES: PREFIX is the tool prefix, LIBRARIES the folder of the target's glibc.
build() {
  mkdir -p "$out/$1"
  # libdl and libpthread are named although a new glibc holds both: an old one looks the symbols up there.
  "$2gcc" -std=gnu11 -O2 -Wall -Wextra -Werror -fstack-protector-strong -fPIE -pie -nostartfiles \
    -ffile-prefix-map="$here"=. -include compat/start.h $3 -o "$out/$1/edgewright-runner" $sources \
    -Wl,--build-id=none -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--hash-style=gnu \
    -Wl,--no-as-needed "$4/libdl.so.2" "$4/libpthread.so.0" -Wl,--as-needed
  "$2strip" --strip-all --remove-section=.comment "$out/$1/edgewright-runner"
}

build linux-x64 "${X64_PREFIX-x86_64-linux-gnu-}" '' "${X64_LIBRARIES-/lib/x86_64-linux-gnu}"
build linux-arm64 "${ARM64_PREFIX-aarch64-linux-gnu-}" '-mno-outline-atomics' "${ARM64_LIBRARIES-/usr/aarch64-linux-gnu/lib}"

cat >"$out/BUILD.json" <<JSON
{
  "linux-arm64": "$("${ARM64_PREFIX-aarch64-linux-gnu-}gcc" --version | head -n 1)",
  "linux-x64": "$("${X64_PREFIX-x86_64-linux-gnu-}gcc" --version | head -n 1)"
}
JSON
