import { GraphQLError, Kind, print, type ValueNode, valueFromASTUntyped } from 'graphql'
import { comparisonOf } from '../src/filters/comparisons.js'
import type { Column, TypeCategory } from '../src/postgres/types.js'
import type { Builder, SchemaTypes } from './builder.js'

export type ScalarName = keyof SchemaTypes['Scalars']

/** A scalar whose values are texts, in the form that `where` accepts and RowImage returns. */
interface TextScalar {
  /** The category of its values: the scalar refuses what a filter of that category refuses. */
  readonly category: TypeCategory
  readonly description: string
  /** Whether numbers are accepted, too. */
  readonly numbers?: true
}

const TEXT_SCALARS: Readonly<Record<Exclude<ScalarName, 'JSON'>, TextScalar>> = {
  BigInt: {
    category: 'int8',
    numbers: true,
    description:
      'An integer of 64 bits (bigint), exact: a string such as "9007199254740993", since a JSON number loses digits beyond 2^53. A number is accepted, too.',
  },
  Bytes: { category: 'bytea', description: 'Bytes (bytea) as base64 with its padding, such as "AP8=".' },
  Date: {
    category: 'date',
    description: 'A day (date) such as "2026-11-22". Postgres also has "infinity", "-infinity" and "0044-03-15 BC".',
  },
  DateTime: {
    category: 'timestamptz',
    description:
      'A moment in ISO 8601 with its offset, such as "2026-11-22T22:41:00.123456Z", to the microsecond (timestamptz). Postgres also has "infinity" and "-infinity".',
  },
  Decimal: {
    category: 'numeric',
    numbers: true,
    description:
      'A decimal number (numeric) with all its digits: a string such as "1.50". "NaN" and, from PostgreSQL 14 on, "Infinity" are valid values. A number of up to 15 digits is accepted, too.',
  },
  Duration: {
    category: 'interval',
    description: 'A span of time (interval) in ISO 8601, such as "P1DT2H30M"; each part may have its own minus sign.',
  },
  LocalDateTime: {
    category: 'timestamp',
    description: 'A day and time of day without a zone (timestamp), such as "2026-11-22T22:41:00.123456".',
  },
  LocalTime: { category: 'time', description: 'A time of day without a zone (time), such as "22:41:00.123456".' },
  Time: { category: 'timetz', description: 'A time of day with an offset (timetz), such as "22:41:00+01:00".' },
  UUID: { category: 'uuid', description: 'A UUID such as "f47ac10b-58cc-4372-a567-0e02b2c3d479".' },
} // biome-ignore format: a table

export const SCALAR_NAMES: readonly ScalarName[] = [...(Object.keys(TEXT_SCALARS) as ScalarName[]), 'JSON']

export function isScalarName(name: string): name is ScalarName {
  return (SCALAR_NAMES as readonly string[]).includes(name)
}

/** Adds scalars to a schema; only those that it uses, so that clients need not map the others. */
export function addScalars(builder: Builder, names: Iterable<ScalarName>): void {
  for (const name of new Set(names)) {
    if (name === 'JSON') addJson(builder)
    else builder.scalarType(name, { ...TEXT_SCALARS[name], ...coercions(name, TEXT_SCALARS[name]) })
  }
}

function coercions(name: ScalarName, { category, numbers }: TextScalar) {
  const comparison = comparisonOf({ category, isArray: false } as Column)
  function parse(value: unknown, shown: string): string {
    const operand = comparison.operand(value)
    if (typeof operand !== 'string') return value as string
    throw new GraphQLError(`${name}: ${shown.length > 80 ? `${shown.slice(0, 80)}…` : shown} ${operand}`)
  }
  return {
    serialize: (value: unknown) => (value instanceof Date ? value.toISOString() : show(name, value)),
    parseValue: (value: unknown) =>
      parse(numbers && typeof value === 'number' ? exactText(name, value) : value, String(value)),
    parseLiteral(node: ValueNode) {
      const isNumber = node.kind === Kind.INT || node.kind === Kind.FLOAT
      return parse(node.kind === Kind.STRING || (numbers && isNumber) ? node.value : undefined, print(node))
    },
  }
}

/** A JSON number has been parsed into 53 bits: with more than 15 digits it may differ from what was written. */
function exactText(name: ScalarName, value: number): string {
  const digits = String(value)
    .replace(/e.*|\D/g, '')
    .replace(/^0+|0+$/g, '')
  if (digits.length > 15 && !(name === 'BigInt' && Number.isSafeInteger(value)))
    throw new GraphQLError(`${name}: ${value} has more digits than a JSON number keeps; give it as a string`)
  return String(value)
}

function show(name: ScalarName, value: unknown): string {
  if (typeof value !== 'string') throw new GraphQLError(`${name} cannot show a value of type ${typeof value}`)
  return name === 'Bytes' ? Buffer.from(value.slice(2), 'hex').toString('base64') : value
}

function addJson(builder: Builder): void {
  builder.scalarType('JSON', {
    description:
      'Any JSON value, as stored: numbers have all their digits in the text of the response, but many parsers keep only 15.',
    serialize: value => value,
    parseValue: value => value,
    parseLiteral: (node: ValueNode) => valueFromASTUntyped(node),
  })
}
