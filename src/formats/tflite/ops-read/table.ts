import type { OperatorInReading } from '../read-operator.ts'

/** Operators by the file's name for them; what throws NotExpressible is carried verbatim. */
export type ReadTable = Readonly<Record<string, (operator: OperatorInReading) => void>>
