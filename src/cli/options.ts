import type { Options } from 'yargs'

/** Options that several commands share, so that one name means one thing. */

export const modelOptions = {
  signature: { type: 'string', describe: 'Which signature of a file that has several' },
  shape: {
    type: 'string',
    array: true,
    describe: 'Shape of an input that the file leaves open: input=1,3,224,224',
  },
} as const satisfies Record<string, Options>

export const dataOptions = {
  data: { type: 'string', describe: 'Samples: a folder, .npz, idx, data.yaml or loader.mjs (docs/data.md)' },
  'calibration-data': { type: 'string', describe: 'Samples for calibration only' },
  metric: { type: 'string', describe: 'top-1, top-5, map, map@0.5, miou or a metric module' },
  'label-offset': { type: 'string', describe: "Added to each label (1 for 1001 classes), or 'auto'" },
} as const satisfies Record<string, Options>

export const recipeOptions = {
  recipe: { type: 'string', describe: 'A recipe (YAML); flags overrule it' },
  'max-drop': {
    type: 'string',
    describe: 'What the metric may lose, e.g. 0.5%: layers stay in float until it holds, else exit 10',
  },
  scheme: { type: 'string', describe: 'full-int8, int16x8, dynamic, weight-only, float16 or float' },
  io: { type: 'string', choices: ['float', 'int8', 'uint8'], describe: 'Element type of inputs and outputs' },
  'fold-preprocessing': {
    type: 'boolean',
    describe: 'Put mean and std into the first layer: raw pixels are the input',
  },
  calibration: {
    type: 'string',
    choices: ['auto', 'min-max', 'percentile', 'mse', 'kl'],
    describe: 'How activation ranges are chosen',
  },
  percentile: { type: 'number', describe: 'For --calibration percentile' },
  samples: { type: 'number', describe: 'At most so many calibration samples' },
  'per-channel': {
    type: 'boolean',
    describe: 'One weight scale for each output channel (--no-per-channel: one in all)',
  },
  'keep-float': { type: 'string', array: true, describe: 'A node to leave in float, by name' },
  allow: {
    type: 'string',
    array: true,
    describe: 'A change that the target may make though results differ: relu6, float-io, dla, split-outputs',
  },
  seed: { type: 'number', describe: 'For splits and random inputs' },
  cache: {
    type: 'boolean',
    default: true,
    describe: 'Keep what calibration saw, for other recipes on the same model and data (--no-cache: not)',
  },
} as const satisfies Record<string, Options>

/** Of a compile; `run` takes one of each kind: `--preset best,standard`. */
export const presetOption = {
  preset: {
    type: 'string',
    describe: 'How much is tried to stay near float: fast (nothing), balanced (default) or best',
  },
} as const satisfies Record<string, Options>

export const edgetpuOptions = {
  'edgetpu-compiler': {
    type: 'string',
    describe: 'Where edgetpu_compiler is: local: (PATH of this computer) or ssh://builder',
  },
} as const satisfies Record<string, Options>

export const deviceOptions = {
  identity: { type: 'string', describe: 'SSH private key' },
  'host-key': { type: 'string', describe: 'Expected host key: SHA256:…' },
  'known-hosts': { type: 'string', describe: 'known_hosts file in place of the usual ones' },
  root: { type: 'string', describe: 'Folder on the board (default ~/.local/share/edgewright)' },
} as const satisfies Record<string, Options>

export const measureOptions = {
  threads: { type: 'string', describe: 'Thread counts, e.g. 1,2,4 (default 1)' },
  preset: {
    type: 'string',
    describe:
      'quick: some seconds; standard: 10 s and 300 inferences; sustained: half an hour once steady; tiny: 5 windows of 10 s',
  },
  rate: { type: 'string', describe: 'Fixed rate in place of flat out: 10/s' },
  affinity: { type: 'string', describe: 'CPUs to pin to: 0,1' },
  energy: {
    type: 'boolean',
    describe:
      'Energy per inference, in a phase of its own; default: with every preset but quick (--no-energy: not)',
  },
  rail: {
    type: 'string',
    describe:
      'The power rail that stands for the board, by label or id (edgewright devices probe lists them), or pmic',
  },
  'sample-rate': { type: 'number', describe: 'Samples of power a second, at most 100 (default 20)' },
} as const satisfies Record<string, Options>

/** How a board is held while it is measured. */
export const conditionOptions = {
  pin: {
    type: 'string',
    choices: ['performance'],
    describe: 'Hold the clocks while it is measured (the board sets them back by itself)',
  },
  'power-mode': { type: 'string', describe: 'Jetson: nvpmodel by name, e.g. 15W, while it is measured' },
  'cool-to': {
    type: 'string',
    describe:
      'Wait until the chip is as cool: 50C, 50C,5min (default 10min), 50C,warn (measure all the same), off; default: as before the first row',
  },
} as const satisfies Record<string, Options>
