/** A Python wheel on PyPI that carries a native library; a wheel is a zip file. */
export interface RuntimePin {
  /** As `uname -m` says it. */
  readonly architecture: 'aarch64' | 'x86_64'
  /** Of the wheel. */
  readonly file: string
  readonly sha256: string
  readonly bytes: number
  /** What `pip download --platform` takes. */
  readonly platform: string
  readonly library: {
    readonly member: string
    readonly sha256: string
    readonly bytes: number
    /** Oldest glibc that it loads with. */
    readonly glibc: string
    /** Newest libstdc++ symbol version that it asks for. */
    readonly libstdcxx: string
  }
}

export interface PinnedRuntime {
  readonly name: 'litert' | 'tflite'
  readonly describe: string
  readonly version: string
  /** The package on PyPI. */
  readonly package: string
  /** CPython that the wheels are tagged for; the library inside knows nothing of it. */
  readonly python: string
  readonly pins: readonly RuntimePin[]
}

/**
 * The runtime libraries that Edgewright fetches, by exact name, version and digest. Both are LiteRT:
 * - `litert` is the newest. Its library has LiteRT's own C API only, which takes no TFLite delegates.
 * - `tflite` is the last for arm64 with TFLite's C API: for older systems, for delegates (Edge TPU), for operator times.
 *   The x86-64 wheels hide that API in every version.
 */
export const pinnedRuntimes: readonly PinnedRuntime[] = [
  {
    name: 'litert',
    describe: 'LiteRT with XNNPACK, the newest',
    version: '2.3.0',
    package: 'ai-edge-litert',
    python: '3.11',
    pins: [
      {
        architecture: 'aarch64',
        file: 'ai_edge_litert-2.3.0-cp311-cp311-manylinux_2_27_aarch64.whl',
        sha256: '853fc608f96da87bd5f3458465dfb9abbf18d5ae6b94eceacead407146f175ae',
        bytes: 14_379_387,
        platform: 'manylinux_2_27_aarch64',
        library: {
          member: 'ai_edge_litert/libLiteRt.so',
          sha256: 'b57687dc234d2b8b0598aef5a9c961ed24263df8f8b3f56adbee1cff618e544b',
          bytes: 5_991_672,
          // the wheel's name says 2.27, the symbols say otherwise
          glibc: '2.34',
          libstdcxx: '3.4.30',
        },
      },
      {
        architecture: 'x86_64',
        file: 'ai_edge_litert-2.3.0-cp311-cp311-manylinux_2_27_x86_64.whl',
        sha256: '1f15078a6725d2357d9de9221664c29afa0545d807559c5f7199ce5e40b96b23',
        bytes: 21_778_233,
        platform: 'manylinux_2_27_x86_64',
        library: {
          member: 'ai_edge_litert/libLiteRt.so',
          sha256: 'eec47eb35e2924b3166015887e652a58edc9af823ae38e02bf83bef2548300bb',
          bytes: 8_039_424,
          glibc: '2.27',
          libstdcxx: '3.4.22',
        },
      },
    ],
  },
  {
    name: 'tflite',
    describe: 'LiteRT 1.4 with TFLite’s C API: boards with glibc before 2.34, the Edge TPU, operator times',
    version: '1.4.0',
    package: 'ai-edge-litert',
    python: '3.11',
    pins: [
      {
        architecture: 'aarch64',
        file: 'ai_edge_litert-1.4.0-cp311-cp311-manylinux_2_17_aarch64.whl',
        sha256: '131d1c12dedc0c45aa683106d71ea895117c2332b0efb52712965f8b5e63781d',
        bytes: 8_682_885,
        platform: 'manylinux_2_17_aarch64',
        library: {
          member: 'ai_edge_litert/libLiteRtRuntimeCApi.so',
          sha256: '23781d014a0e0de4f8dd40553e558e5f1248e29b1d135edeb187894588fd8d33',
          bytes: 8_694_168,
          glibc: '2.30',
          libstdcxx: '3.4.26',
        },
      },
    ],
  },
]
