import type { OnnxOperator } from '../read-operator.ts'

/** How each ONNX operator of the default domain is said in our op set. */
export type ReadTable = Readonly<Record<string, (operator: OnnxOperator) => void>>
