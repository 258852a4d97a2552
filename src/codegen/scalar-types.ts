import type { ScalarName } from '../../schema/scalars.js'

/** The TypeScript types of a scalar. */
export interface ScalarType {
  /** Of values that a client sends in variables. */
  readonly input: string
  /** Of values that arrive. */
  readonly output: string
}

const TEXT: ScalarType = { input: 'string', output: 'string' }
/** Exact, so a text; a number is accepted, too. */
const NUMBER: ScalarType = { input: 'string | number', output: 'string' }

/** The type of each scalar of the schema, as its values arrive in JSON. */
export const SCALAR_TYPES = {
  BigInt: NUMBER,
  Bytes: TEXT,
  Date: TEXT,
  DateTime: TEXT,
  Decimal: NUMBER,
  Duration: TEXT,
  JSON: { input: 'unknown', output: 'unknown' },
  LocalDateTime: TEXT,
  LocalTime: TEXT,
  Time: TEXT,
  UUID: TEXT,
} satisfies Readonly<Record<ScalarName, ScalarType>>
