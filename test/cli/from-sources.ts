/** The real command line, from its sources: `node --import tsx test/cli/from-sources.ts ARGS`. */
import { main } from '../../src/cli/main.ts'

process.exitCode = await main(process.argv.slice(2))
