import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { jetsonGpu, l4tRelease } from '../../../src/measure/trtexec/jetson.ts'
import {
  atLeast,
  formatVersion,
  versionOfBanner,
  versionOfName,
} from '../../../src/measure/trtexec/version.ts'

describe('the version of TensorRT', () => {
  for (const [banner, version] of [
    ['&&&& RUNNING TensorRT.trtexec [TensorRT v8001] # ./trtexec --help', '8.0.1'],
    ['&&&& RUNNING TensorRT.trtexec [TensorRT v8201] # x', '8.2.1'],
    ['&&&& RUNNING TensorRT.trtexec [TensorRT v8502] # /usr/src/tensorrt/bin/trtexec --help', '8.5.2'],
    ['noise\n&&&& FAILED TensorRT.trtexec [TensorRT v8601] # x\nmore', '8.6.1'],
    ['&&&& RUNNING TensorRT.trtexec [TensorRT v100300] [b30] # x', '10.3.0'],
    ['&&&& RUNNING TensorRT.trtexec [TensorRT v101602] [b10] # x', '10.16.2'],
    ['&&&& RUNNING TensorRT.trtexec [TensorRT v110000] # x', '11.0.0'],
  ] as const)
    test(`${banner.trim().slice(0, 60)} is ${version}`, () => {
      assert.equal(formatVersion(versionOfBanner(banner)!), version)
    })

  test('a first line without a version, as TensorRT 7 has it, tells none; nor does anything else', () => {
    for (const text of [
      '&&&& RUNNING TensorRT.trtexec # ./trtexec',
      '',
      'TensorRT v8502',
      '&&&& RUNNING x [TensorRT v9]',
    ])
      assert.equal(versionOfBanner(text), null)
  })

  test('a version is read from the names of libraries and packages', () => {
    for (const [name, version] of [
      ['libnvinfer.so.8.5.2', '8.5.2'],
      ['8.2.1-1+cuda10.2', '8.2.1'],
      ['10.3.0.30-1+cuda12.5', '10.3.0'],
    ] as const)
      assert.equal(formatVersion(versionOfName(name)!), version)
    for (const name of ['libnvinfer.so.8', '', 'cuda', '1234.5.6'])
      assert.equal(versionOfName(name), null, name)
  })

  test('10.3 is at least 8.6 and not 10.12', () => {
    const version = { major: 10, minor: 3, patch: 0 }
    assert.equal(atLeast(version, [8, 6]), true)
    assert.equal(atLeast(version, [10, 3]), true)
    assert.equal(atLeast(version, [10, 12]), false)
    assert.equal(atLeast(version, [11, 0]), false)
  })
})

describe('which GPU a Jetson has', () => {
  for (const [compatible, expected] of [
    [
      ['nvidia,p3450-0000', 'nvidia,tegra210'],
      ['5.3', false, 0],
    ],
    [
      ['nvidia,p3509-0000+p3668-0001', 'nvidia,tegra194'],
      ['7.2', true, 2],
    ],
    [
      ['nvidia,p3737-0000+p3701-0000', 'nvidia,tegra234'],
      ['8.7', true, 2],
    ],
    [
      ['nvidia,p3768-0000+p3767-0000', 'nvidia,tegra234'],
      ['8.7', true, 2],
    ],
    [
      ['nvidia,p3768-0000+p3767-0005', 'nvidia,tegra234'],
      ['8.7', true, 0],
    ],
    [
      ['nvidia,p3971-0080+p3834-0008', 'nvidia,tegra264'],
      ['11.0', true, 0],
    ],
  ] as const)
    test(`${compatible[0]}`, () => {
      const gpu = jetsonGpu(compatible)!
      assert.deepEqual([gpu.computeCapability, gpu.int8, gpu.dla], expected)
    })

  test('a Raspberry Pi has none', () => {
    assert.equal(jetsonGpu(['raspberrypi,5-model-b', 'brcm,bcm2712']), null)
    assert.equal(jetsonGpu(['nvidia,tegra999']), null)
  })

  test('the release of Jetson Linux is read; a file that says something else is none', () => {
    assert.equal(l4tRelease('# R36 (release), REVISION: 4.3, GCID: 1'), '36.4.3')
    assert.equal(l4tRelease('# R32 (release), REVISION: 7.1, GCID: 1'), '32.7.1')
    for (const text of [undefined, '', 'R36', '# R36 (release), REVISION: ; rm -rf /'])
      assert.equal(l4tRelease(text), null)
  })
})
