import { litertBuild, litertNeed } from '../../src/runtimes/litert.ts'
import type { RuntimeBuild } from '../target.ts'

