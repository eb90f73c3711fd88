export {
  accuracyOf,
  type Digits,
  firstOf,
  pixelsOf,
  side,
  testDigits,
  trainingDigits,
} from '../mnist/digits.ts'
