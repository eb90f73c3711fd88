import type { Command } from '../command.ts'
import { bench } from './bench.ts'
import { compare } from './compare.ts'
import { compile } from './compile.ts'
import { deploy } from './deploy.ts'
import { devices } from './devices.ts'
import { diagnose } from './diagnose.ts'
import { evaluate } from './evaluate.ts'
import { explain } from './explain.ts'
import { inspect } from './inspect.ts'
import { profiles } from './profiles.ts'
import { releases } from './releases.ts'
import { run } from './run.ts'
import { runs } from './runs.ts'
import { runtimes } from './runtimes.ts'
import { targets } from './targets.ts'
import { tune } from './tune.ts'

/** In the order of `--help`: the main job first. */
export const commands: readonly Command[] = [
  run,
  inspect,
  compile,
  tune,
  diagnose,
  evaluate,
  deploy,
  releases,
  bench,
  compare,
  explain,
  devices,
  profiles,
  targets,
  runtimes,
  runs,
]
