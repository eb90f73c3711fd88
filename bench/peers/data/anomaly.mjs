import { readFileSync } from 'node:fs'

const clip = new URL(
  '../../../../shared/fixtures/data/ad_normal_id_01_00000000_hist_librosa.bin',
  import.meta.url,
)
const bins = 128

/** One ToyCar clip as the network sees it: windows of 5 frames of log-mel values, one at every frame. */
export default function* () {
  const { buffer, byteOffset, byteLength } = readFileSync(clip)
  const values = new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength))
  for (let start = 0; start + 5 * bins <= values.length; start += bins)
    yield { x: values.slice(start, start + 5 * bins), label: null }
}
