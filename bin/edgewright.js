#!/usr/bin/env node
import { main } from '../dist/src/cli/main.js'

const status = await main(process.argv.slice(2))
// what was written must be out before the end; handles that something left open must not delay it
process.stdout.write('', () => process.stderr.write('', () => process.exit(status)))
