import { exitCodes } from '../../error.ts'
import { type Command, text } from '../command.ts'
import { connectionOf } from '../connection.ts'
import { deviceOptions } from '../options.ts'

export const devices: Command = {
  name: 'devices',
  describe: 'Boards by name',
  bare: 'list',
  subcommands: [
    {
      name: 'list',
      describe: 'The boards that were added',
      async run() {
        const { listDevices } = await import('../../run/devices.ts')
        const entries = listDevices()
        return {
          json: { schemaVersion: 1, devices: entries },
          text:
            entries.length === 0
              ? 'No boards yet: edgewright devices add NAME ssh://user@host'
              : entries
                  .map((entry) => `${entry.name}  ${entry.connection}  ${entry.profile ?? ''}`)
                  .join('\n'),
        }
      },
    },
    {
      name: 'add',
      usage: '<name> <connection>',
      describe: 'Name a board',
      positionals: {
        name: { type: 'string', describe: 'The name, a plain word' },
        connection: {
          type: 'string',
          describe: 'ssh://user@host:port, user@host, openssh://user@host, local:',
        },
      },
      options: {
        profile: { type: 'string', describe: 'Its profile; default: found by probing' },
        ...deviceOptions,
      },
      async run(args) {
        const { addDevice } = await import('../../run/devices.ts')
        const entry = addDevice({
          name: text(args, 'name')!,
          connection: text(args, 'connection')!,
          profile: text(args, 'profile'),
          identity: text(args, 'identity'),
          root: text(args, 'root'),
          hostKey: text(args, 'host-key'),
          knownHosts: text(args, 'known-hosts'),
        })
        return { json: { schemaVersion: 1, device: entry }, text: `${entry.name} is ${entry.connection}` }
      },
    },
    {
      name: 'remove',
      usage: '<name>',
      describe: 'Forget a board (nothing on it is touched)',
      positionals: { name: { type: 'string', describe: 'The name, a plain word' } },
      async run(args) {
        const { removeDevice } = await import('../../run/devices.ts')
        removeDevice(text(args, 'name')!)
        return {
          json: { schemaVersion: 1, removed: text(args, 'name') },
          text: `${text(args, 'name')} is forgotten`,
        }
      },
    },
    {
      name: 'probe',
      usage: '<device>',
      describe: 'Ask a board what it is; match it to a profile',
      positionals: { device: { type: 'string', describe: 'A connection or a name' } },
      options: {
        'save-profile': { type: 'string', describe: 'Write what was found as a profile to this file' },
        ...deviceOptions,
      },
      async run(args, context) {
        const { probeDevice, describeProbe } = await import('../../run/probe.ts')
        const probe = await probeDevice(
          {
            device: text(args, 'device')!,
            saveProfile: text(args, 'save-profile'),
            connection: connectionOf(args, context),
          },
          context.progress,
        )
        return { json: { schemaVersion: 1, ...probe }, text: describeProbe(probe) }
      },
    },
    {
      name: 'meters',
      describe: 'Serial ports, and the power meters among them',
      async run() {
        const { describeMeters, listMeters } = await import('../../run/meters.ts')
        const ports = await listMeters()
        return { json: { schemaVersion: 1, ports }, text: describeMeters(ports) }
      },
    },
    {
      name: 'doctor',
      usage: '<device>',
      describe: 'Try out all that a board needs; each missing piece with what mends it',
      positionals: { device: { type: 'string', describe: 'A connection or a name' } },
      options: deviceOptions,
      async run(args, context) {
        const [{ examineDevice }, { describeFindings }] = await Promise.all([
          import('../../run/doctor/doctor.ts'),
          import('../../run/doctor/findings.ts'),
        ])
        const doctor = await examineDevice(
          { device: text(args, 'device')!, connection: connectionOf(args, context) },
          context.progress,
        )
        const bad = doctor.findings.some(({ state }) => state === 'missing')
        return {
          json: { schemaVersion: 1, ...doctor },
          text: describeFindings(doctor.device, doctor.findings),
          ...(bad ? { exitCode: exitCodes.device } : {}),
        }
      },
    },
  ],
}
