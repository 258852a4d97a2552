import fc from 'fast-check'
import pg from 'pg'

/**
 * A column type for the tests of filters: values of rows, and values in filters. Both come from the same small set, so that
 * they often match.
 */
interface Kind {
  /** Texts that Postgres reads as the type. */
  readonly stored: fc.Arbitrary<string>
  /** Values as a client sends them; `stored` if left out. */
  readonly asked?: fc.Arbitrary<unknown>
  readonly family: keyof typeof OPERATORS
}

const ORDERED = ['eq', 'neq', 'gt', 'gte', 'lt', 'lte', 'in', 'notIn', 'isNull'] as const
const OPERATORS = {
  ordered: ORDERED,
  text: [...ORDERED, 'like', 'ilike', 'like', 'ilike'],
  equal: ['eq', 'neq', 'in', 'notIn', 'isNull'],
  opaque: ['isNull'],
} as const

function some<T>(...values: readonly T[]): fc.Arbitrary<T> {
  return fc.constantFrom(...values)
}

/** Mostly from a few values, so that rows and filters often contain the same value. */
function mostly<T>(few: fc.Arbitrary<T>, many: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 3, arbitrary: few }, { weight: 2, arbitrary: many })
}

// ---- Text: pieces that combine to equal texts, prefixes, and orders that depend on how characters are compared.
const PIECES = [
  ...[
    'a',
    'b',
    'A',
    'B',
    'z',
    'Z',
    'ä',
    'Ä',
    'ß',
    'İ',
    'ı',
    'é',
    'e\u0301',
    ' ',
    '%',
    '_',
    '\\',
    '"',
    "'",
    '\n',
    '\t',
  ],
  ...[
    '\u0001',
    '\u007f',
    '\ud7ff',
    '\ue000',
    '\uffff',
    '\u{10000}',
    '\u{1f600}',
    '\u{10ffff}',
    ',',
    '}',
    '[',
    ':',
    '0',
  ],
]
const short = fc.array(some(...PIECES), { maxLength: 3 }).map(pieces => pieces.join(''))
const words = mostly(some('', 'a', 'A', 'ab', 'aB', 'Ab', 'ä', 'Ä', 'a b', 'a ', 'null', '\u{1f600}'), short)
const anyText = fc.oneof(
  { weight: 6, arbitrary: words },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }).filter(value => !value.includes('\0')) },
)
const madePattern = fc
  .array(
    some(
      '%',
      '%',
      '_',
      '_',
      '\\%',
      '\\_',
      '\\\\',
      '\\a',
      'a',
      'b',
      'A',
      'ä',
      'Ä',
      ' ',
      '\n',
      '\u{1f600}',
      '"',
      '0',
    ),
    {
      maxLength: 5,
    },
  )
  .map(parts => parts.join(''))
const pattern = mostly(
  some('__', '_%_', '%__', '%_\u{1f600}', 'a_', '%a_', '_a%', '%\\_%', 'A%', '%A'),
  madePattern,
)
const fitting = fc
  .array(some('a', 'A', 'b', 'ä', 'Ä', ' ', '\u{1f600}'), { maxLength: 5 })
  .map(chars => chars.join(''))

// ---- Numbers.
function integers(min: bigint, max: bigint): fc.Arbitrary<bigint> {
  return fc.oneof(
    some(0n, 1n, -1n, 7n, min, max, max - 1n),
    fc.bigInt({ min: -20n, max: 20n }),
    fc.bigInt({ min, max }),
  )
}
const int2 = integers(-32768n, 32767n)
const int4 = integers(-(2n ** 31n), 2n ** 31n - 1n)
const int8 = fc.oneof(
  integers(-(2n ** 63n), 2n ** 63n - 1n),
  some(2n ** 53n, 2n ** 53n + 1n, 2n ** 53n - 1n, -(2n ** 53n) - 1n, 10n ** 15n, 10n ** 16n, -(10n ** 15n)),
)
const decimals = mostly(
  some(
    ...[
      '0',
      '0.0',
      '-0.00',
      '1',
      '1.0',
      '1.50',
      '1.5',
      '-1.5',
      '+01.5',
      '.5',
      '5.',
      '1e3',
      '1000',
      '1E-3',
      '0.001',
    ],
    ...[
      'NaN',
      'Infinity',
      '-Infinity',
      '9007199254740993',
      '9007199254740992.1',
      '-9007199254740993.5',
      '12e-1',
    ],
    ...[
      '123456789012345678901234567890.12345',
      '123456789012345678901234567890.123450',
      '0.1',
      '0.10000000000000001',
    ],
  ),
  fc
    .tuple(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), fc.integer({ min: -25, max: 5 }))
    .map(([digits, exponent]) => `${digits}e${exponent}`),
)
const doubles = mostly(
  some(
    0,
    -0,
    1,
    1.9,
    0.1,
    0.3,
    0.30000000000000004,
    -1.5,
    Number.NaN,
    Infinity,
    -Infinity,
    1e15,
    1e16,
    123456.789,
  ),
  fc.oneof(fc.double(), fc.integer({ min: -5, max: 5 })),
)
const reals = mostly(
  some(0, -0, 1, 1.9, 0.1, 0.3, 16777216, 16777217, Number.NaN, Infinity, -Infinity, 3.4e38, 1e-45, 1e-50),
  fc.oneof(fc.float(), fc.double({ min: -1e30, max: 1e30 })),
)
function floatText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value)
}

// ---- Timestamps.
function padded(min: number, max: number, width: number): fc.Arbitrary<string> {
  return fc.integer({ min, max }).map(value => String(value).padStart(width, '0'))
}
const year = fc.oneof(
  padded(1999, 2001, 4),
  padded(1, 9999, 4),
  fc.integer({ min: 10000, max: 294275 }).map(String),
)
const era = some('', '', '', ' BC')
const day = fc
  .tuple(year, padded(1, 12, 2), padded(1, 28, 2), era)
  .map(([y, m, d, bc]) => `${bc && Number(y) > 4700 ? '4700' : y}-${m}-${d}${bc}`)
const days = mostly(
  some(
    ...[
      'infinity',
      '-infinity',
      '1970-01-01',
      '2000-01-01',
      '2000-02-29',
      '1900-02-28',
      '0001-01-01',
      '0001-12-31 BC',
    ],
    ...[
      '0044-03-15 BC',
      '0005-02-29 BC',
      '4713-01-01 BC',
      '4714-11-24 BC',
      '5874897-12-31',
      '9999-12-31',
      '10000-01-01',
    ],
  ),
  day,
)
const fraction = fc.oneof(
  some('', '.5', '.500000', '.000001', '.999999'),
  padded(0, 999999, 6).map(digits => `.${digits}`),
)
const clock = mostly(
  some('00:00:00', '23:59:59.999999', '12:00:00', '12:00:00.5', '12:00:00.500000', '24:00:00', '12:00'),
  fc
    .tuple(padded(0, 23, 2), padded(0, 59, 2), padded(0, 59, 2), fraction)
    .map(([h, m, s, f]) => `${h}:${m}:${s}${f}`),
)
const zone = fc.oneof(
  some('Z', '+00', '+00:00', '-00:00', '+01', '+01:00', '+0530', '-05:30', '+15:59', '-15:59', '+05:30:15'),
  fc.tuple(some('+', '-'), padded(0, 14, 2), padded(0, 59, 2)).map(([sign, h, m]) => `${sign}${h}:${m}`),
)
const near = some(
  ...['12:00:00', '12:00:30', '12:01:00', '12:01:30', '13:00:00', '12:00:00.1', '12:00:00.05', '12:00:00.15'],
  ...['12:00:00.000001', '12:00:00.123456', '12:00:00.123450', '12:00:00.9'],
)
/** UTC, if the type has offsets at all. */
function usualOffset(offset: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return offset.map(z => (z === '' ? '' : '+00:00'))
}
function moments(offset: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const made = fc
    .tuple(day, some('T', ' '), clock, offset)
    .map(
      ([date, t, time, z]) => `${date.replace(' BC', '')}${t}${time}${z}${date.endsWith(' BC') ? ' BC' : ''}`,
    )
  // Close to each other, so that every part of a timestamp decides some comparison.
  const few = fc
    .tuple(some('1999-12-31', '2000-01-01', '0001-01-01'), near, fc.oneof(offset, usualOffset(offset)))
    .map(([date, time, z]) => `${date}T${time}${z}`)
  return fc.oneof(some('infinity', '-infinity'), few, few, made, made)
}
const spans = mostly(
  some(
    'PT0S',
    'P1M',
    'P30D',
    'P1D',
    'PT24H',
    'P1Y',
    'P360D',
    'P12M',
    'PT86400S',
    'PT-0.5S',
    'P-1M',
    'P-1D',
    'P1M-30D',
    'P1W',
    'P7D',
  ),
  fc
    .record({
      months: fc.integer({ min: -40, max: 40 }),
      days: fc.integer({ min: -100, max: 100 }),
      seconds: int4,
    })
    .map(({ months, days: d, seconds }) => `P${months}M${d}DT${seconds}S`),
)

// ---- Other types.
const ids = mostly(
  some(
    '00000000-0000-0000-0000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
    'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
  ),
  fc.uuid(),
)
const bytes = mostly(
  some('', '00', 'ff', '0000', '5c', '00ff', 'ff00'),
  fc.uint8Array({ maxLength: 5 }).map(array => Buffer.from(array).toString('hex')),
)
const moods = some('sad', 'ok', 'Ärger', 'happy', 'a"b\\c,{}', 'afterthought')
const networks = some('10.0.0.1', '10.0.0.1/32', '10.0.0.0/8', '::1', 'fe80::/10', '255.255.255.255')
const documents = some(
  'null',
  ' null ',
  '{}',
  '[1, 2]',
  '"null"',
  '1.50',
  '{"a":\n null, "b": "}\\""}',
  ' true',
  '"\\u0000"',
  '1e200000',
)
const jsonb = some('null', '{}', '[1, 2]', '"null"', '1.50', '{"a": null, "b": "}\\""}', 'true')

function texts(stored: fc.Arbitrary<string>): Kind {
  return { family: 'text', stored: fc.oneof(stored, fitting), asked: fc.oneof(stored, fitting) }
}
function numbers(stored: fc.Arbitrary<bigint>): Kind {
  return { family: 'ordered', stored: stored.map(String), asked: stored.map(Number) }
}
function opaque(stored: fc.Arbitrary<string>): Kind {
  return { family: 'opaque', stored }
}
const mood: Kind = { family: 'ordered', stored: moods }

/** By the SQL name of the column's type. */
export const KINDS: Readonly<Record<string, Kind>> = {
  bool: { family: 'ordered', stored: some('true', 'false'), asked: fc.boolean() },
  int2: numbers(int2),
  int4: numbers(int4),
  int8: { family: 'ordered', stored: int8.map(String), asked: int8.map(String) },
  numeric: { family: 'ordered', stored: decimals },
  'numeric(40,10)': {
    family: 'ordered',
    stored: decimals.map(value => value.replace(/.*(e|Inf).*/, '2.5')),
    asked: decimals,
  },
  float4: {
    family: 'ordered',
    stored: reals.map(value => floatText(Math.fround(value))),
    asked: reals.filter(value => Number.isFinite(value) === Number.isFinite(Math.fround(value))),
  },
  float8: { family: 'ordered', stored: doubles.map(floatText), asked: doubles },
  text: texts(anyText),
  varchar: texts(words),
  'varchar(9)': texts(words.map(value => [...value].slice(0, 9).join(''))),
  'text collate public.human': texts(words),
  'text collate public.careless': texts(words),
  'char(6)': texts(words.map(value => [...value].slice(0, 6).join(''))),
  bpchar: texts(words),
  name: texts(short),
  'public.citext': texts(words),
  uuid: { family: 'ordered', stored: ids },
  timestamptz: { family: 'ordered', stored: moments(zone) },
  timestamp: { family: 'ordered', stored: moments(fc.constant('')) },
  date: { family: 'ordered', stored: days },
  time: { family: 'ordered', stored: clock },
  timetz: {
    family: 'ordered',
    stored: mostly(
      some('12:00:00Z', '13:00:00+01', '11:00:00-01:00', '17:30+05:30', '02:00:00-10', '24:00:00+12:00'),
      fc.tuple(clock, zone).map(([time, z]) => `${time}${z}`),
    ),
  },
  interval: { family: 'ordered', stored: spans },
  bytea: {
    family: 'ordered',
    stored: bytes.map(hex => `\\x${hex}`),
    asked: bytes.map(hex => Buffer.from(hex, 'hex').toString('base64')),
  },
  'public.mood': mood,
  'public.feeling': mood,
  'public.exact': {
    family: 'ordered',
    stored: fc.integer({ min: -9, max: 9 }).map(String),
    asked: fc.integer({ min: -9, max: 9 }),
  },
  'public.label': texts(words),
  'public.code': texts(words.map(value => [...value].slice(0, 5).join(''))),
  inet: { family: 'equal', stored: networks },
  int4range: { family: 'equal', stored: some('[1,5)', '[1,4]', 'empty', '(,)', '[2,)') },
  tstzrange: { family: 'equal', stored: some('["2024-01-01 00:00:00+00",)', '[,2024-01-01T01:00:00+01)') },
  '"char"': { family: 'equal', stored: some('a', 'b', '"', '\\') },
  bit: { family: 'equal', stored: some('0', '1') },
  oid: { family: 'equal', stored: some('1', '4294967295') },
  point: { family: 'equal', stored: some('(0,0)', '(1.5,-2)') },
  xml: { family: 'equal', stored: some('<a/>', 'text &amp; "more"') },
  int2vector: opaque(some('1 2', '3')),
  json: opaque(documents),
  jsonb: opaque(jsonb),
  'int4[]': opaque(some('{}', '{1,NULL}', '{{1,2},{3,4}}')),
  'text[]': opaque(some('{}', '{"a]\\"",NULL}', '{null}')),
  'json[]': opaque(some('{}', '{null}', '{NULL,"{}"}')),
  'public.pair': opaque(some('(,)', '(1,)', '(1,"}\\"")')),
}

/** SQL of a value, or null. */
export function valueSql(type: string): fc.Arbitrary<string | null> {
  const stored = (KINDS[type] as Kind).stored.map(
    value => `${pg.escapeLiteral(value)}::${type.replace(/ collate .*/, '')}`,
  )
  return fc.oneof({ weight: 1, arbitrary: fc.constant(null) }, { weight: 6, arbitrary: stored })
}

/**
 * Infinite numerics exist from Postgres 14 on, infinite intervals from 17 on; before, no row contains one, but a filter may.
 */
export function storable(value: string | null, version: number): string {
  const isEndless = /^'-?infinity'::(numeric|interval)/i.exec(value ?? '')
  const since = isEndless?.[1]?.toLowerCase() === 'numeric' ? 14 : 17
  return value === null || (isEndless && version < since) ? 'null' : value
}

/** A filter over columns that are given by their name in filters and the SQL name of their type. */
export function filterOf(
  columns: readonly (readonly [field: string, type: string])[],
): fc.Arbitrary<unknown> {
  const condition = fc.oneof(
    ...columns.map(([field, type]) => conditionOf(type).map(inner => ({ [field]: inner }))),
  )
  const { filter } = fc.letrec<{ filter: unknown }>(tie => ({
    filter: fc.oneof(
      { maxDepth: 3, depthSize: 'small', withCrossShrink: true },
      { weight: 8, arbitrary: condition },
      {
        weight: 1,
        arbitrary: fc.tuple(condition, condition).map(both => Object.assign({}, ...both) as unknown),
      },
      { weight: 2, arbitrary: fc.record({ not: tie('filter') }) },
      { weight: 2, arbitrary: fc.record({ and: fc.array(tie('filter'), { maxLength: 3 }) }) },
      { weight: 3, arbitrary: fc.record({ or: fc.array(tie('filter'), { maxLength: 3 }) }) },
      { weight: 1, arbitrary: fc.tuple(condition, tie('filter')).map(([a, b]) => ({ ...a, not: b })) },
    ),
  }))
  return filter
}

function conditionOf(type: string): fc.Arbitrary<Record<string, unknown>> {
  const { family, stored, asked = stored } = KINDS[type] as Kind
  const operators = OPERATORS[family].map(operator => {
    if (operator === 'isNull') return fc.boolean().map(value => ({ isNull: value }))
    if (operator === 'like' || operator === 'ilike') return pattern.map(value => ({ [operator]: value }))
    if (operator === 'in' || operator === 'notIn')
      return fc.array(asked, { maxLength: 4 }).map(values => ({ [operator]: values }))
    return asked.map(value => ({ [operator]: value }))
  })
  const one = fc.oneof(...operators)
  return fc.oneof(
    { weight: 6, arbitrary: one },
    {
      weight: 1,
      arbitrary: fc.tuple(one, one).map(both => Object.assign({}, ...both) as Record<string, unknown>),
    },
    { weight: 1, arbitrary: fc.constant({}) },
  )
}
