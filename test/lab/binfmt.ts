import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'

const folder = '/proc/sys/fs/binfmt_misc'

/**
 * Lets the kernel start arm64 programs through QEMU. Flag F opens the interpreter now, so that none is needed inside
 * the board's root; P keeps argv[0]. Stays registered: it is the kernel's table, shared by everything that runs here.
 */
export function registerArm64(): void {
  if (!existsSync(`${folder}/register`)) execFileSync('mount', ['-t', 'binfmt_misc', 'binfmt_misc', folder])
  if (existsSync(`${folder}/qemu-aarch64`)) return
  // ELF, 64 bits, little-endian, executable or shared object (ET_EXEC or ET_DYN), machine 183
  const magic = `\\x7fELF\\x02\\x01\\x01${'\\x00'.repeat(9)}\\x02\\x00\\xb7\\x00`
  const mask = `${'\\xff'.repeat(7)}\\x00${'\\xff'.repeat(8)}\\xfe\\xff\\xff\\xff`
  try {
    writeFileSync(`${folder}/register`, `:qemu-aarch64:M::${magic}:${mask}:/usr/bin/qemu-aarch64-static:FP`)
  } catch (error) {
    // another test process may have been quicker
    if (!existsSync(`${folder}/qemu-aarch64`)) throw error
  }
}
