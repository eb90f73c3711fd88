import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { loadBesideRun } from '../../../src/measure/conditions/cpu-times.ts'
import { parseSurvey } from '../../../src/measure/conditions/parse-survey.ts'
import { powerModeNamed } from '../../../src/measure/conditions/power-mode.ts'
import { chipZones, planSensors, sensorsOf } from '../../../src/measure/conditions/sensors.ts'
import { surveyScript } from '../../../src/measure/conditions/survey-script.ts'
import { throttleOf } from '../../../src/measure/conditions/throttle.ts'

const raspberry = `zone /sys/class/thermal/thermal_zone0/temp 48350 cpu-thermal
cpufreq /sys/devices/system/cpu/cpufreq/policy0 related_cpus 0 1 2 3
cpufreq /sys/devices/system/cpu/cpufreq/policy0 scaling_governor ondemand
cpufreq /sys/devices/system/cpu/cpufreq/policy0 scaling_available_governors conservative ondemand userspace powersave performance schedutil
cpufreq /sys/devices/system/cpu/cpufreq/policy0 scaling_cur_freq 1500000
cpufreq /sys/devices/system/cpu/cpufreq/policy0 scaling_min_freq 1500000
cpufreq /sys/devices/system/cpu/cpufreq/policy0 scaling_max_freq 2400000
cpufreq /sys/devices/system/cpu/cpufreq/policy0 cpuinfo_max_freq 2400000
rpi_volt /sys/class/hwmon/hwmon2/in0_lcrit_alarm 0
get_throttled /sys/devices/platform/soc/soc:firmware/get_throttled 50000
vcgencmd throttled=0x50000
loadavg 0.42 0.30 0.20 1/150 2000
available 7654321 kB
may sudo
done 1
`

const jetson = `zone /sys/class/thermal/thermal_zone0/temp 45500 CPU-therm
trip /sys/class/thermal/thermal_zone0/temp 97000
trip /sys/class/thermal/thermal_zone0/temp 95000
zone /sys/class/thermal/thermal_zone1/temp 44000 wifi-therm
cooling /sys/class/thermal/cooling_device3/cur_state 0 thermal-cpufreq-0
soctherm_oc /sys/class/hwmon/hwmon1/oc1_event_cnt 0
soctherm_oc /sys/class/hwmon/hwmon1/oc3_event_cnt 37
nvpmodel.status pmode:0001 fmode:quiet
nvpmodel.mode < POWER_MODEL ID=0 NAME=15W >
nvpmodel.mode < POWER_MODEL ID=1 NAME=25W >
nvpmodel.mode < POWER_MODEL ID=2 NAME=MAXN_SUPER >
has jetson_clocks
`

test('a Raspberry Pi tells its clock, heat, flags and load', () => {
  const survey = parseSurvey(
    `stat.begin cpu  100 0 100 800 0 0 0 0 0 0\nstat.end cpu  120 0 110 970 0 0 0 0 0 0\n${raspberry}`,
  )
  assert.deepEqual(survey.zones, [
    { path: '/sys/class/thermal/thermal_zone0/temp', type: 'cpu-thermal', milliC: 48350, limitMilliC: null },
  ])
  const [policy] = survey.policies
  assert.deepEqual(policy!.cpus, [0, 1, 2, 3])
  assert.equal(policy!.governor, 'ondemand')
  assert.ok(policy!.governors.includes('performance'))
  assert.equal(policy!.maxKHz, 2_400_000)
  assert.equal(survey.mayPin, 'sudo')
  assert.equal(survey.availableMemoryBytes, 7654321 * 1024)
  assert.equal(survey.busyShare, 30 / 200)
  assert.equal(survey.powerMode, null)
  // happened earlier, does not hold now: nothing is raised by a run that changes nothing
  assert.deepEqual(throttleOf(survey.gauges, survey.gauges), {
    underVoltage: false,
    frequencyCapped: false,
    throttled: false,
    softTemperatureLimit: false,
    source: 'vcgencmd get_throttled, get_throttled, hwmon rpi_volt',
  })
})

test('flags of the firmware are told apart: what was before the run from what came in it', () => {
  const with_ = (bits: string) =>
    parseSurvey(raspberry.replace('throttled=0x50000', `throttled=${bits}`)).gauges
  const raised = (before: string, after: string) => throttleOf(with_(before), with_(after))!
  assert.equal(raised('0x0', '0x0').underVoltage, false)
  assert.equal(raised('0x0', '0x10000').underVoltage, true, 'a sticky bit that rose')
  assert.equal(raised('0x10000', '0x10000').underVoltage, false, 'a sticky bit that stood before')
  assert.equal(raised('0x50000', '0x50005').underVoltage, true, 'under-voltage holds at the end')
  assert.equal(raised('0x50000', '0x50005').throttled, true)
  assert.equal(raised('0x0', '0x20000').frequencyCapped, true)
  assert.equal(raised('0x0', '0x80008').softTemperatureLimit, true)
  assert.equal(raised('0x0', '0x80008').throttled, false)
  assert.equal(raised('0x0', '0x80000').source, 'vcgencmd get_throttled')
})

test('a flag that came and went while the runner looked is raised', () => {
  const { gauges } = parseSurvey(raspberry)
  const alarm = new Map([['/sys/class/hwmon/hwmon2/in0_lcrit_alarm', [0, 1, 0]]])
  assert.equal(throttleOf(gauges, gauges, alarm)!.underVoltage, true)
  const file = '/sys/devices/platform/soc/soc:firmware/get_throttled'
  // printed in hexadecimal, read in decimal: 50005 is under-voltage and throttled; 8000d is cut to 8000
  const now = throttleOf(gauges, gauges, new Map([[file, [50000, 50005]]]))!
  assert.deepEqual([now.underVoltage, now.throttled, now.softTemperatureLimit], [true, true, false])
  assert.equal(throttleOf(gauges, gauges, new Map([[file, [8000]]]))!.softTemperatureLimit, true)
  assert.equal(throttleOf(gauges, gauges, new Map([[file, [50000, 0]]]))!.throttled, false)
})

test('a Jetson tells its power mode by name, its trip points and its over-current events', () => {
  const survey = parseSurvey(jetson)
  assert.deepEqual(survey.powerMode!.current, { id: 1, name: '25W' })
  assert.equal(survey.zones[0]!.limitMilliC, 95_000)
  assert.equal(survey.hasJetsonClocks, true)
  assert.deepEqual(
    chipZones(survey.zones).map(({ type }) => type),
    ['CPU-therm'],
  )
  assert.equal(powerModeNamed(survey.powerMode, 'maxn_super', 'orin').id, 2)
  assert.throws(() => powerModeNamed(survey.powerMode, 'MAXN', 'orin'), {
    code: 'DEVICE_UNSUPPORTED',
    saw: '15W, 25W, MAXN_SUPER',
  })
  assert.throws(() => powerModeNamed(null, '15W', 'pi'), { code: 'DEVICE_UNSUPPORTED', saw: 'no nvpmodel' })
  const later = parseSurvey(
    jetson.replace('oc3_event_cnt 37', 'oc3_event_cnt 38').replace('cur_state 0', 'cur_state 2'),
  )
  const throttle = throttleOf(survey.gauges, later.gauges)!
  assert.deepEqual([throttle.throttled, throttle.frequencyCapped, throttle.underVoltage], [true, true, false])
  assert.equal(throttle.source, 'soctherm oc3_event_cnt, cooling device thermal-cpufreq-0')
})

test('the runner is given the sensors that count, under plain names', () => {
  const sensors = sensorsOf(parseSurvey(raspberry))
  assert.deepEqual(
    sensors.map(({ name, unit }) => `${name} ${unit}`),
    [
      'temperature:cpu-thermal milliC',
      'clock:policy0 kHz',
      'clock-limit:policy0 kHz',
      'throttle:get_throttled flags',
      'throttle:hwmon-rpi_volt flags',
    ],
  )
  assert.deepEqual(planSensors(sensors)[1], {
    name: 'clock:policy0',
    path: '/sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq',
  })
})

const hostile = [
  ['a zone outside /sys', 'zone /etc/shadow 40000 cpu-thermal\n'],
  ['a zone that climbs out', 'zone /sys/class/thermal/../../../etc/shadow 40000 cpu\n'],
  ['a temperature of nonsense', 'zone /sys/class/thermal/thermal_zone0/temp 99999999 cpu\n'],
  ['a temperature in words', 'zone /sys/class/thermal/thermal_zone0/temp $(reboot) cpu\n'],
  ['a policy elsewhere', 'cpufreq /tmp/policy0 scaling_governor ondemand\n'],
  [
    'a policy that climbs out',
    'cpufreq /sys/devices/system/cpu/cpufreq/policy0/../../x scaling_governor a\n',
  ],
  ['an alarm elsewhere', 'rpi_volt /home/pi/alarm 1\n'],
  ['flags that are none', 'vcgencmd throttled=0xZZ\nvcgencmd error=1 error_msg="Command not registered"\n'],
  ['flags that are too long', `vcgencmd throttled=0x${'f'.repeat(400)}\n`],
  ['times of nobody', 'stat.begin cpu 1 2\nstat.end cpu\n'],
  ['no line ends', '\u0000'.repeat(10_000)],
] as const

for (const [name, output] of hostile)
  test(`hostile answer: ${name}`, () => {
    const { zones, policies, gauges, busyShare } = parseSurvey(output)
    assert.deepEqual(
      { zones, policies, gauges, busyShare },
      { zones: [], policies: [], gauges: [], busyShare: null },
    )
  })

test('hostile answer: escape sequences, endless lists and lies in text', () => {
  const survey = parseSurvey(
    [
      'emulator \u001b[31mQEMU\u001b]0;title\u0007 user mode',
      ...Array.from(
        { length: 5000 },
        (_, i) => `zone /sys/class/thermal/thermal_zone${i}/temp 40000 cpu\u001b[2J${'x'.repeat(300)}`,
      ),
      ...Array.from(
        { length: 5000 },
        (_, i) => `cpufreq /sys/devices/system/cpu/cpufreq/policy${i % 2000} scaling_cur_freq 1000`,
      ),
      'cpufreq /sys/devices/system/cpu/cpufreq/policy0 scaling_governor ondemand;reboot',
      'nvpmodel.mode < POWER_MODEL ID=0 NAME=$(reboot) >',
      'may "; reboot"',
    ].join('\n'),
  )
  assert.equal(survey.emulator, 'QEMU user mode')
  assert.equal(survey.zones.length, 64)
  assert.ok(survey.zones.every(({ type }) => !type.includes('\u001b') && type.length <= 41))
  assert.ok(survey.policies.length <= 64)
  assert.equal(survey.policies[0]!.governor, null)
  assert.equal(survey.powerMode, null)
  assert.equal(survey.mayPin, null)
  assert.ok(sensorsOf(survey).length <= 64, 'no more sensors than a plan may hold')
})

test('what others took of the CPUs is what was busy less what the run took itself', () => {
  // 4 CPUs, 10 s: 4000 ticks, of which 1500 busy; the run itself took 10 s of CPU time
  const lines = [
    'stat.begin cpu  1000 0 1000 5000 0 0 0 0 0 0',
    'stat.end cpu  2200 0 1250 7500 0 30 20 0 0 0',
    'times 0m0.010000s 0m0.000000s 0m9.500000s 0m0.500000s',
  ]
  assert.equal(loadBesideRun(lines), (1500 - 1000) / 4000)
  assert.equal(loadBesideRun(lines.slice(0, 2)), null)
  assert.equal(loadBesideRun(['stat.begin x', 'stat.end y', 'times z']), null)
  assert.equal(loadBesideRun(lines.with(2, 'times 0m0s 0m0s 99m0s 0m0s')), 0, 'never below nothing')
})

test('the survey is good shell, changes nothing and ends on any Linux', {
  skip: process.platform !== 'linux',
}, () => {
  const { stdout, stderr, status } = spawnSync('sh', ['-s', '--', 'load'], {
    input: surveyScript,
    encoding: 'utf8',
  })
  assert.equal(status, 0)
  assert.equal(stderr, '')
  assert.match(stdout, /^done 1$/m)
  const { busyShare, availableMemoryBytes } = parseSurvey(stdout)
  assert.ok(busyShare !== null && busyShare >= 0 && busyShare <= 1)
  assert.ok(availableMemoryBytes! > 2 ** 20)
})
