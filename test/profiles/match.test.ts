import assert from 'node:assert/strict'
import test from 'node:test'
import { matchProfile } from '../../src/profiles/match.ts'
import { boardFacts } from './board-facts.ts'

// Strings as the kernel's device trees and Raspberry Pi firmware spell them.
const boards: [id: string, compatible: string[], model: string][] = [
  ['raspberry-pi-zero-2-w', ['raspberrypi,model-zero-2-w', 'brcm,bcm2837'], 'Raspberry Pi Zero 2 W Rev 1.0'],
  [
    'raspberry-pi-3b-plus',
    ['raspberrypi,3-model-b-plus', 'brcm,bcm2837'],
    'Raspberry Pi 3 Model B Plus Rev 1.3',
  ],
  ['raspberry-pi-4b', ['raspberrypi,4-model-b', 'brcm,bcm2711'], 'Raspberry Pi 4 Model B Rev 1.4'],
  ['raspberry-pi-5', ['raspberrypi,5-model-b', 'brcm,bcm2712'], 'Raspberry Pi 5 Model B Rev 1.0'],
  [
    'raspberry-pi-cm4',
    ['raspberrypi,4-compute-module', 'brcm,bcm2711'],
    'Raspberry Pi Compute Module 4 Rev 1.1',
  ],
  [
    'raspberry-pi-cm5',
    ['raspberrypi,5-compute-module', 'brcm,bcm2712'],
    'Raspberry Pi Compute Module 5 Rev 1.0',
  ],
  ['coral-dev-board', ['google,imx8mq-phanbell', 'fsl,imx8mq'], 'Freescale i.MX8MQ Phanbell'],
  ['jetson-nano', ['nvidia,p3450-0000', 'nvidia,tegra210'], 'NVIDIA Jetson Nano Developer Kit'],
  [
    'jetson-xavier-nx',
    ['nvidia,p3509-0000+p3668-0001', 'nvidia,tegra194'],
    'NVIDIA Jetson Xavier NX Developer Kit (eMMC)',
  ],
  [
    'jetson-orin-nano',
    ['nvidia,p3768-0000+p3767-0005', 'nvidia,p3767-0005', 'nvidia,tegra234'],
    'NVIDIA Jetson Orin Nano Developer Kit',
  ],
  [
    'jetson-orin-nx',
    ['nvidia,p3768-0000+p3767-0000', 'nvidia,tegra234'],
    'NVIDIA Jetson Orin NX Engineering Reference Developer Kit',
  ],
  [
    'jetson-agx-orin',
    ['nvidia,p3737-0000+p3701-0000', 'nvidia,tegra234'],
    'NVIDIA Jetson AGX Orin Developer Kit',
  ],
  ['imx8m-plus', ['fsl,imx8mp-evk', 'fsl,imx8mp'], 'NXP i.MX8MPlus EVK board'],
  ['imx93', ['fsl,imx93-11x11-evk', 'fsl,imx93'], 'NXP i.MX93 11X11 EVK board'],
  ['rk3588', ['xunlong,orangepi-5-plus', 'rockchip,rk3588'], 'Xunlong Orange Pi 5 Plus'],
]

for (const [id, compatible, model] of boards) {
  test(`${model} is recognized by its device tree`, () => {
    const [best] = matchProfile(boardFacts({ compatible, model }))
    assert.equal(best?.profile.id, id)
    assert.equal(best?.confidence, 'compatible')
  })
}

for (const [id, , model] of [...boards, ['coral-dev-board-mini', [], 'Google Coral MT8167'] as const]) {
  test(`${model} is recognized by its model string alone`, () => {
    const [best] = matchProfile(boardFacts({ compatible: [], model: `${model}\0` }))
    assert.equal(best?.profile.id, id)
    assert.equal(best?.confidence, 'model')
  })
}

test('a downstream Orin Nano Super, whose compatible names only the SoC, is an Orin Nano', () => {
  const model = 'NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super'
  const [best] = matchProfile(boardFacts({ compatible: ['nvidia,tegra234'], model }))
  assert.equal(best?.profile.id, 'jetson-orin-nano')
})

test('boards whose names only begin alike are not taken for each other', () => {
  for (const model of [
    'Raspberry Pi 500 Rev 1.0',
    'Raspberry Pi 400 Rev 1.0',
    'Raspberry Pi 3 Model B Rev 1.2',
    'Raspberry Pi 4 Model A',
  ]) {
    const [best] = matchProfile(boardFacts({ compatible: ['brcm,bcm2712'], model }))
    assert.equal(best?.profile.id, 'generic-arm64', model)
    assert.equal(best?.confidence, 'architecture')
    assert.match(best?.explanation ?? '', new RegExp(model.slice(0, 14)))
  }
})

test('an unknown 64-bit board falls back to its architecture, this machine to this-computer, 32-bit Arm to nothing', () => {
  assert.equal(
    matchProfile(boardFacts({ compatible: ['linux,dummy-virt'], model: 'linux,dummy-virt' }))[0]?.profile.id,
    'generic-arm64',
  )
  assert.equal(
    matchProfile(boardFacts({ architecture: 'x86_64', model: null }))[0]?.profile.id,
    'generic-x64',
  )
  assert.equal(
    matchProfile(boardFacts({ architecture: 'x86_64', model: 'Standard PC' }), { local: true })[0]?.profile
      .id,
    'this-computer',
  )
  assert.deepEqual(matchProfile(boardFacts({ architecture: 'armv7l', model: 'Some board' })), [])
})

test('the features of the board itself replace those its name suggests', () => {
  const facts = boardFacts({
    compatible: ['raspberrypi,5-model-b'],
    cpuFeatures: ['fp', 'asimd'],
    cpuCount: 2,
    memoryBytes: 2 ** 31,
  })
  const [best] = matchProfile(facts)
  assert.deepEqual(best?.profile.cpu.features, ['fp', 'asimd'])
  assert.equal(best?.profile.cpu.cores, 2)
  assert.deepEqual(best?.profile.memory.optionsMiB, [2048])
})

test('a Coral stick on USB is laid over the board, before and after its firmware is loaded', () => {
  for (const id of ['1a6e:089a', '18d1:9302']) {
    const [best] = matchProfile(
      boardFacts({ compatible: ['raspberrypi,5-model-b'], usbIds: ['1d6b:0003', id] }),
    )
    assert.equal(best?.profile.id, 'raspberry-pi-5+coral-usb')
    assert.equal(best?.profile.targets[0]?.target, 'edgetpu')
    assert.match(best?.explanation ?? '', new RegExp(id))
  }
})

test('a model string with control characters reaches the explanation without them', () => {
  const [best] = matchProfile(boardFacts({ compatible: [], model: 'Evil\u001b[2J\nboard\u202e' }))
  assert.doesNotMatch(best?.explanation ?? '', /[\u001b\n\u202e]/)
})
