import { randomBytes } from 'node:crypto'
import { EdgewrightError } from '../error.ts'
import { boardProcessFunctions } from './board-process.ts'
import { pause } from './deadline.ts'
import { printable } from './printable.ts'
import { remoteScript, wholeNumber } from './remote-script.ts'
import type { Device } from './types.ts'

/** Who holds a board, as that one named itself. */
export interface LockHolder {
  readonly holder: string
  readonly heldForSeconds: number
}

export interface LockOptions {
  /** In words for others: `anna@desk (process 4711)`. */
  readonly holder: string
  /** Held without a word from us for so long; a run bound to the lock holds it as long as the run lives. Default 120 s. */
  readonly ttlSeconds?: number
  /** How long to wait for another holder; 0 fails at once. Default 0. */
  readonly waitMs?: number
  readonly onWaiting?: (holder: LockHolder) => void
  readonly signal?: AbortSignal
}

/** A board held by us. */
export interface BoardLock {
  readonly token: string
  /** Grows with every new holder: what an older holder writes can be told from what a newer one does. */
  readonly fence: number
  /** Says that we are still here. DEVICE_BUSY where another took the board over meanwhile. */
  renew(device?: Device): Promise<void>
  /** Gives the board back; nothing happens where it is another's by now. */
  release(device?: Device): Promise<void>
}

/**
 * Takes the board for one benchmark at a time. The lock is a file `lock/held.<fence>`, made by a hard link, which is
 * atomic and never overwrites; the highest number counts. It holds while its lease runs (on the board's uptime, not
 * its wall clock) or the run bound to it lives; then, or after a reboot, the next number may be taken. Nothing runs on
 * the board to keep it.
 * DEVICE_BUSY names the holder and since when.
 */
export async function acquireLock(device: Device, options: LockOptions): Promise<BoardLock> {
  const token = randomBytes(12).toString('hex')
  const ttlSeconds = Math.ceil(options.ttlSeconds ?? 120)
  const holder = printable(options.holder, 120).replace(/\s+/g, ' ') || 'someone'
  const giveUpAt = Date.now() + (options.waitMs ?? 0)
  for (let waitMs = 250; ; waitMs = Math.min(waitMs * 1.5, 3000)) {
    const lines = await remoteScript(
      device,
      'taking the board',
      takeScript,
      [device.root, token, String(ttlSeconds), holder],
      { signal: options.signal },
    )
    const [word, number, ...rest] = lines.at(-1) ?? []
    if (word === 'held') return heldLock(device, token, wholeNumber(device, number), ttlSeconds)
    if (word === 'busy') {
      const other = { holder: rest.join(' ') || 'someone', heldForSeconds: wholeNumber(device, number) }
      if (Date.now() >= giveUpAt) throw busy(device, other)
      options.onWaiting?.(other)
    } else if (word !== 'again')
      throw new EdgewrightError('DEVICE_ANSWER_INVALID', `${device.name} gave no answer about its lock.`, {
        where: `${device.root}/lock`,
        saw: word ?? 'nothing',
      })
    else if (Date.now() >= giveUpAt + 30_000)
      throw new EdgewrightError('DEVICE_TIMEOUT', `The lock of ${device.name} could not be settled.`, {
        where: `${device.root}/lock`,
      })
    await pause(Math.min(waitMs, Math.max(giveUpAt - Date.now(), 50)), options.signal)
  }
}

function heldLock(device: Device, token: string, fence: number, ttlSeconds: number): BoardLock {
  const tell = async (on: Device, verb: string) => {
    const lines = await remoteScript(on, 'keeping the board', keepScript, [
      on.root,
      token,
      String(fence),
      verb,
      String(ttlSeconds),
    ])
    if (verb === 'renew' && lines.at(-1)?.[0] !== 'kept')
      throw new EdgewrightError(
        'DEVICE_BUSY',
        `${on.name} was taken over by another while this one was away.`,
        { where: on.name, hint: 'Run again; the board is handed out in turn.' },
      )
  }
  return {
    token,
    fence,
    renew: (on = device) => tell(on, 'renew'),
    release: (on = device) => tell(on, 'release'),
  }
}

function busy(device: Device, other: LockHolder): EdgewrightError {
  const since = new Date(Date.now() - other.heldForSeconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z')
  return new EdgewrightError('DEVICE_BUSY', `${device.name} is held by ${other.holder} since ${since}.`, {
    where: device.name,
    saw: `held for ${other.heldForSeconds} s`,
    hint: 'Wait for it, or use another board; the lock ends with that run.',
  })
}

const lockFunctions = `${boardProcessFunctions}
uptime() { if { read -r u _ </proc/uptime; } 2>/dev/null; then echo "\${u%%.*}"; else date +%s; fi; }
boot() { b=-; { read -r b </proc/sys/kernel/random/boot_id; } 2>/dev/null; echo "$b"; }
highest() {
  top=0
  for f in "$l"/held.*; do
    k=\${f##*.}
    case $k in ''|*[!0-9]*) ;; *) [ "$k" -gt "$top" ] && top=$k ;; esac
  done
}
lease() { printf '%s\\n' "$(($(uptime) + $1))" >"$l/.lease.$token" && mv -f "$l/.lease.$token" "$l/lease.$token"; }
`

/** The lease is written before the link, so that a lock is never seen without one. */
const takeScript = `${lockFunctions}
l=$1/lock token=$2 ttl=$3 holder=$4
mkdir -p "$l" || exit 70
highest
if [ "$top" -gt 0 ] && { read -r t b since who <"$l/held.$top"; } 2>/dev/null && [ "$t" != released ] && [ "$b" = "$(boot)" ]; then
  until=0 p='' s='' c='' cs=''
  { read -r until <"$l/lease.$t"; } 2>/dev/null
  { { read -r p s; read -r c cs; } <"$l/run.$t"; } 2>/dev/null
  now=$(uptime)
  if [ "$until" -gt "$now" ] || lives "$p" "$s" || lives "$c" "$cs"; then echo "busy $((now - since)) $who"; return 0; fi
fi
n=$((top + 1))
printf '%s %s %s %s\\n' "$token" "$(boot)" "$(uptime)" "$holder" >"$l/.claim.$token" && lease "$ttl" || exit 71
if ln "$l/.claim.$token" "$l/held.$n" 2>/dev/null; then
  rm -f "$l/.claim.$token"
  highest
  if [ "$top" -ne "$n" ]; then rm -f "$l/held.$n"; echo again; return 0; fi
  for f in "$l"/held.*; do [ "$f" = "$l/held.$n" ] || rm -f "$f"; done
  for f in "$l"/lease.* "$l"/run.*; do [ "\${f##*.}" = "$token" ] || rm -f "$f"; done
  lease "$ttl"
  echo "held $n"
else
  rm -f "$l/.claim.$token" "$l/lease.$token"
  highest
  [ "$top" -ge "$n" ] || { echo 'the file system makes no hard links' >&2; exit 72; }
  echo again
fi`

const keepScript = `${lockFunctions}
l=$1/lock token=$2 n=$3 verb=$4 ttl=$5
highest
t=''
{ read -r t _ <"$l/held.$n"; } 2>/dev/null
if [ "$top" != "$n" ] || [ "$t" != "$token" ]; then echo gone; return 0; fi
case $verb in
  renew) lease "$ttl" ;;
  release)
    printf 'released - 0 -\\n' >"$l/.claim.$token" && mv -f "$l/.claim.$token" "$l/held.$n"
    rm -f "$l/lease.$token" "$l/run.$token" ;;
esac
echo kept`
