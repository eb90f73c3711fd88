import type { TuneReport } from '../../src/index.ts'

export interface Expectation {
  readonly what: string
  readonly holds: boolean
}

/** What the table has to show, with what it does show. */
export function expectations({ rows }: TuneReport): Expectation[] {
  const [float] = rows
  const accuracy = float!.accuracy!.value
  const trained = {
    what: `The network in float gets at least 98.5 % of the digits right: ${percent(accuracy)}`,
    holds: accuracy >= 0.985,
  }
  const integers = rows.filter(
    ({ stage, form }) => ['float', 'qat'].includes(stage) && form.startsWith('int8'),
  )
  return [
    trained,
    ...integers.flatMap(({ stage, form, fileBytes, accuracy: own }) => {
      const share = fileBytes! / float!.fileBytes!
      const p = own!.pValue!
      return [
        {
          what: `${stage === 'float' ? form : `${form} after ${stage}`} is not below float beyond chance: ${percent(own!.value)}, p ${p.toPrecision(2)}`,
          holds: p > 0.05 || own!.value > accuracy,
        },
        { what: `… and at most 0.27 of its size: ${share.toFixed(3)}`, holds: share <= 0.27 },
      ]
    }),
  ]
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`
}
