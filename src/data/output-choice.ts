import { EdgewrightError } from '../error.ts'
import type { Tensor } from '../tensor.ts'
import type { OutputChoice } from './task-schema.ts'

export type Outputs = ReadonlyMap<string, Tensor>

/** The output of that name or position. @throws CONFIG_INVALID naming what is there */
export function outputOf(outputs: Outputs, choice: OutputChoice): Tensor {
  const tensor = typeof choice === 'number' ? [...outputs.values()][choice] : outputs.get(choice)
  if (tensor) return tensor
  throw unreadable(`The network has no output ${choice}.`, outputs)
}

/** For outputs that are not what the description says: lists them with their shapes. */
export function unreadable(message: string, outputs: Outputs, hint?: string): EdgewrightError {
  return new EdgewrightError('CONFIG_INVALID', message, {
    where: 'detection or segmentation of the data.yaml',
    saw: [...outputs].map(([name, { shape }]) => `${name} [${shape.join(', ')}]`).join(', ') || 'no outputs',
    hint: hint ?? 'docs/detection.md lists the forms that are known.',
  })
}
