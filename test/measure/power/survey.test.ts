import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { pmicPower, parsePmic } from '../../../src/measure/power/pmic.ts'
import { livePower, type PowerSurvey } from '../../../src/measure/power/rail.ts'
import { choosePower, isPowerSource } from '../../../src/measure/power/source.ts'
import { parseSurvey } from '../../../src/measure/power/survey.ts'
import { surveyScript } from '../../../src/measure/power/survey-script.ts'
import { loadProfile } from '../../../src/profiles/load.ts'

/** Runs the survey's script on a made /sys; `links` are folders that lead to others. */
function survey(
  files: Record<string, string>,
  links: Record<string, string> = {},
  vcgencmd?: string,
): PowerSurvey {
  const root = mkdtempSync(join(tmpdir(), 'edgewright-sys-'))
  try {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), `${content}\n`)
    }
    for (const [path, to] of Object.entries(links)) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      symlinkSync(join(root, to), join(root, path))
    }
    const bin = join(root, 'bin')
    mkdirSync(bin, { recursive: true })
    if (vcgencmd !== undefined)
      writeFileSync(
        join(bin, 'vcgencmd'),
        `#!/bin/sh\n[ "$1" = pmic_read_adc ] && cat <<'END'\n${vcgencmd}\nEND\n`,
        { mode: 0o755 },
      )
    const script = surveyScript.replaceAll('/sys/', `${root}/sys/`)
    const output = execFileSync('sh', ['-s'], {
      input: script,
      encoding: 'utf8',
      env: { PATH: `${bin}:${process.env.PATH}` },
    })
    return parseSurvey(output.replaceAll(root, ''))
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

function ina3221(
  bus: string,
  number: number,
  channels: readonly { label?: string; mV: number; mA: number; shunt?: number; crit?: number }[],
) {
  const device = `sys/devices/platform/${bus}/i2c-1/${bus}`
  const folder = `${device}/hwmon/hwmon${number}`
  const files: Record<string, string> = {
    [`${folder}/name`]: 'ina3221',
    [`${folder}/update_interval`]: '7',
    [`${device}/name`]: 'ina3221',
  }
  for (const [i, { label, mV, mA, shunt, crit }] of channels.entries()) {
    if (label !== undefined) files[`${folder}/in${i + 1}_label`] = label
    files[`${folder}/in${i + 1}_enable`] = '1'
    files[`${folder}/in${i + 1}_input`] = String(mV)
    files[`${folder}/curr${i + 1}_input`] = String(mA)
    files[`${folder}/shunt${i + 1}_resistor`] = String(shunt ?? 5000)
    files[`${folder}/curr${i + 1}_crit`] = String(crit ?? 32760)
    files[`${folder}/in${i + 4}_input`] = '1000'
  }
  files[`${folder}/in7_label`] = 'sum of shunt voltages'
  files[`${folder}/in7_input`] = '3000'
  files[`${folder}/curr4_input`] = '999'
  return {
    files,
    links: { [`sys/class/hwmon/hwmon${number}`]: folder, [`sys/bus/i2c/devices/${bus}`]: device },
  }
}

const orin = ina3221('1-0040', 3, [
  { label: 'VDD_IN', mV: 5080, mA: 920, crit: 5000 },
  { label: 'VDD_CPU_GPU_CV', mV: 5080, mA: 160 },
  { label: 'VDD_SOC', mV: 5080, mA: 240 },
])

describe('the survey of power sensors', () => {
  test('a Jetson Orin NX: three rails by label, shunts in micro-ohms, no sums', () => {
    const { rails } = survey(orin.files, orin.links)
    assert.deepEqual(
      rails.map(({ id, label }) => [id, label]),
      [
        ['ina3221@1-0040:1', 'VDD_IN'],
        ['ina3221@1-0040:2', 'VDD_CPU_GPU_CV'],
        ['ina3221@1-0040:3', 'VDD_SOC'],
      ],
    )
    const [total] = rails
    assert.equal(total!.milliV!.path, '/sys/class/hwmon/hwmon3/in1_input')
    assert.deepEqual(total!.shunt, { microOhm: 5000, basis: 'sysfs' })
    assert.equal(total!.cycleMs, 7)
    assert.equal(livePower(total!), 5080 * 0.92)
  })

  test('channels that lead nowhere, or are switched off, are skipped, and said', () => {
    const agx = ina3221('1-0041', 4, [
      { label: 'NC', mV: 0, mA: 0 },
      { label: 'VDDQ_VDD2_1V8AO', mV: 5000, mA: 100 },
      { label: 'VDD_X', mV: 5000, mA: 1 },
    ])
    const folder = 'sys/devices/platform/1-0041/i2c-1/1-0041/hwmon/hwmon4'
    const { rails, skipped } = survey({ ...agx.files, [`${folder}/in3_enable`]: '0' }, agx.links)
    assert.deepEqual(
      rails.map(({ label }) => label),
      ['VDDQ_VDD2_1V8AO'],
    )
    assert.deepEqual(
      skipped.map(({ what, why }) => [what, why]),
      [
        ['NC', 'its channel is not connected'],
        ['VDD_X', 'its channel is switched off'],
      ],
    )
  })

  test('JetPack 4: the rails of NVIDIA’s IIO driver, found under the I2C device', () => {
    const folder = 'sys/devices/7000c400.i2c/i2c-6/6-0040/iio:device0'
    const files: Record<string, string> = { 'sys/devices/7000c400.i2c/i2c-6/6-0040/name': 'ina3221x' }
    for (const [i, label] of ['POM_5V_IN', 'POM_5V_GPU', 'POM_5V_CPU'].entries()) {
      files[`${folder}/rail_name_${i}`] = label
      files[`${folder}/in_voltage${i}_input`] = '5072'
      files[`${folder}/in_current${i}_input`] = String(400 + i)
      files[`${folder}/in_power${i}_input`] = '2029'
      files[`${folder}/crit_current_limit_${i}`] = '32760 ma'
    }
    const { rails } = survey(files, { 'sys/bus/i2c/devices/6-0040': 'sys/devices/7000c400.i2c/i2c-6/6-0040' })
    assert.deepEqual(
      rails.map(({ label }) => label),
      ['POM_5V_IN', 'POM_5V_GPU', 'POM_5V_CPU'],
    )
    assert.equal(rails[0]!.milliV!.path, '/sys/bus/i2c/devices/6-0040/iio:device0/in_voltage0_input')
    const chosen = choosePower({ rails, skipped: [], pmic: null }, loadProfile('jetson-nano').power)
    assert.ok(isPowerSource(chosen) && chosen.scope === 'board')
    assert.match(chosen.name, /POM_5V_IN/)
  })

  test('an INA226 gives its power in microwatts; the IIO driver raw values with a scale', () => {
    const folder = 'sys/devices/i2c-1/1-0041/hwmon/hwmon2'
    const { rails } = survey(
      {
        [`${folder}/name`]: 'ina226',
        [`${folder}/in0_input`]: '2',
        [`${folder}/in1_input`]: '5000',
        [`${folder}/curr1_input`]: '200',
        [`${folder}/power1_input`]: '1000000',
        [`${folder}/shunt_resistor`]: '10000',
        [`${folder}/update_interval`]: '35',
        'sys/devices/i2c-1/1-0044/iio:device1/name': 'ina226',
        'sys/devices/i2c-1/1-0044/iio:device1/in_voltage1_raw': '4000',
        'sys/devices/i2c-1/1-0044/iio:device1/in_voltage1_scale': '1.25',
        'sys/devices/i2c-1/1-0044/iio:device1/in_current3_raw': '400',
        'sys/devices/i2c-1/1-0044/iio:device1/in_current3_scale': '0.25',
        'sys/devices/i2c-1/1-0044/iio:device1/in_power2_raw': '80',
        'sys/devices/i2c-1/1-0044/iio:device1/in_power2_scale': '6.25',
        'sys/devices/i2c-1/1-0044/iio:device1/in_shunt_resistor': '0.010000000',
      },
      {
        'sys/class/hwmon/hwmon2': folder,
        'sys/bus/iio/devices/iio:device1': 'sys/devices/i2c-1/1-0044/iio:device1',
      },
    )
    assert.deepEqual(
      rails.map((rail) => [rail.id, rail.milliW!.live, livePower(rail), rail.shunt!.microOhm]),
      [
        ['ina226@1-0041:1', 1000, 1000, 10_000],
        ['ina226@1-0044:1', 500, 500, 10_000],
      ],
    )
  })

  test('supplies that tell what was negotiated are no sensors', () => {
    const folder = 'sys/devices/typec/port0/hwmon/hwmon5'
    const { rails, skipped } = survey(
      {
        [`${folder}/name`]: 'ucsi_source_psy_USBC0001',
        [`${folder}/in0_input`]: '20000',
        [`${folder}/power1_input`]: '60000000',
        'sys/class/power_supply/x': '',
      },
      {
        'sys/class/hwmon/hwmon5': folder,
        'sys/devices/typec/port0/hwmon/hwmon5/device/subsystem': 'sys/class/power_supply',
      },
    )
    assert.deepEqual(rails, [])
    assert.equal(skipped.length, 1)
  })

  test('hostile answers: paths out of sysfs, escapes, endless numbers', () => {
    const { rails, pmic } = parseSurvey(
      [
        'chip\thwmon\t/sys/class/hwmon/../../etc\t/sys/x\tina226\ti2c',
        'f\tin1_input\t5000',
        'chip\thwmon\t/etc/passwd\t/etc/passwd\tina226\ti2c',
        'chip\thwmon\t/sys/class/hwmon/hwmon1\t/sys/devices/1-0040\tina226\ti2c',
        'f\t../../etc/shadow\t5000',
        'f\tin1_input\t5e3',
        `f\tcurr1_input\t${'9'.repeat(400)}`,
        'f\tin1_label\t\u001b[31mVDD_IN\u0007',
        'pmic\t/tmp/$(reboot)',
        'p\tx',
        'done',
      ].join('\n'),
    )
    assert.equal(pmic, null)
    assert.deepEqual(
      rails.map(({ label, milliV, milliA }) => [label, milliV!.live, milliA!.live]),
      [['[31mVDD_IN', null, null]],
    )
  })
})

describe('which rail stands for the board', () => {
  const { rails } = survey(orin.files, orin.links)
  const board: PowerSurvey = { rails, skipped: [], pmic: null }
  const power = (id: string) => loadProfile(id).power

  test('the profile’s input rail; the board’s own alarm is a limit', () => {
    const chosen = choosePower(board, power('jetson-orin-nx'))
    assert.ok(isPowerSource(chosen) && chosen.kind === 'rails')
    assert.deepEqual([chosen.scope, chosen.name], ['board', 'ina3221 VDD_IN'])
  })

  test('without a profile an input rail is known by its label', () => {
    const chosen = choosePower(board, power('generic-arm64'))
    assert.ok(isPowerSource(chosen))
    assert.equal(chosen.name, 'ina3221 VDD_IN')
    assert.equal(chosen.limitMilliW, 5000 * 5.08)
  })

  test('a board without an input rail: the sum of rails, and what is not in it', () => {
    const parts = { ...board, rails: rails.slice(1) }
    const chosen = choosePower(parts, power('generic-arm64'))
    assert.ok(isPowerSource(chosen))
    assert.deepEqual([chosen.scope, chosen.name], ['rail-sum', 'ina3221 VDD_CPU_GPU_CV + VDD_SOC'])
    assert.match(chosen.covers, /carrier board, peripherals/)
  })

  test('a rail that the profile or the user names and the board does not have is a wrong label', () => {
    for (const chosen of [
      choosePower({ ...board, rails: rails.slice(1) }, power('jetson-orin-nx')),
      choosePower(board, power('jetson-agx-orin')),
      choosePower(board, power('jetson-orin-nx'), 'POM_5V_IN'),
    ]) {
      assert.ok(!isPowerSource(chosen))
      assert.equal(chosen.code, 'wrong-label')
      assert.match(chosen.reason, /VDD_SOC/)
    }
  })

  test('no sensor: another sentence where the profile expects one', () => {
    const none: PowerSurvey = { rails: [], skipped: [], pmic: null }
    const reasons = ['jetson-nano', 'generic-arm64'].map((id) => {
      const chosen = choosePower(none, power(id))
      assert.ok(!isPowerSource(chosen) && chosen.code === 'no-sensor')
      return chosen.reason
    })
    assert.match(reasons[0]!, /expects POM_5V_IN/)
    assert.notEqual(reasons[0], reasons[1])
  })

  test('a sensor without a label counts only where it is named', () => {
    const bare = { ...board, rails: [{ ...rails[0]!, label: null, chip: 'ina226', id: 'ina226@1-0041:1' }] }
    const unasked = choosePower(bare, power('generic-arm64'))
    assert.ok(!isPowerSource(unasked) && unasked.code === 'rail-unknown')
    assert.match(unasked.reason, /--rail \(ina226@1-0041:1\)/)
    const asked = choosePower(bare, power('generic-arm64'), 'ina226@1-0041:1')
    assert.ok(isPowerSource(asked) && asked.scope === 'board')
  })

  test('a rail of the processor that is asked for is a rail, not the board', () => {
    const chosen = choosePower(board, power('jetson-orin-nx'), 'vdd_cpu_gpu_cv')
    assert.ok(isPowerSource(chosen) && chosen.scope === 'rail')
    assert.match(chosen.covers, /alone, not the board/)
    const sum = choosePower(board, power('jetson-orin-nx'), 'VDD_CPU_GPU_CV, VDD_SOC')
    assert.ok(isPowerSource(sum) && sum.scope === 'rail-sum')
  })
})

describe('the PMIC of a Raspberry Pi 5', () => {
  const text = `     3V7_WL_SW_A current(0)=0.09759250A
   3V3_SYS_A current(1)=0.05465180A
   VDD_CORE_A current(7)=0.69600000A
   HDMI_A current(22)=0.01245530A
   3V7_WL_SW_V volt(8)=3.71012300V
   3V3_SYS_V volt(9)=3.31045000V
   VDD_CORE_V volt(15)=0.72025480V
   HDMI_V volt(23)=5.14286000V
   EXT5V_V volt(24)=5.15098000V
   BATT_V volt(25)=0.00683760V`

  test('currents and volts are joined by name; what has no current is no power', () => {
    assert.deepEqual(
      parsePmic(text).map(({ name }) => name),
      ['3V7_WL_SW', '3V3_SYS', 'VDD_CORE', 'HDMI'],
    )
    const expected = 97.5925 * 3.710123 + 54.6518 * 3.31045 + 696 * 0.7202548 + 12.4553 * 5.14286
    assert.ok(Math.abs(pmicPower(text)! - expected) < 1e-6)
  })

  test('it is told as PMIC rails, never as the board', () => {
    const chosen = choosePower(survey({}, {}, text), loadProfile('raspberry-pi-5').power)
    assert.ok(isPowerSource(chosen))
    assert.equal(chosen.scope, 'pmic-rails')
    assert.match(chosen.covers, /5 V path, USB/)
  })

  test('a board that refuses the command has none', () => {
    const refused = 'error=1 error_msg="Command not registered"'
    assert.equal(pmicPower(refused), null)
    const chosen = choosePower(survey({}, {}, refused), loadProfile('raspberry-pi-5').power)
    assert.ok(!isPowerSource(chosen) && chosen.code === 'no-sensor')
  })
})
