import { type Order, orderOf, type View } from './view.js'
import { bareType, type Column, type Row, type WatchedTable } from './watched-table.js'

type Compare = (a: unknown, b: unknown) => number

/**
 * Compares two rows as the server orders them: by the order of the view, then by key; nulls last, or first if descending. Only the
 * database knows the order of enum labels and of unusual types; they are compared as text.
 */
export function compareRows(table: WatchedTable, view: Pick<View, 'order'>): (a: Row, b: Row) => number {
  const first = orderOf(table, view)
  const rest = table.key.filter(field => field !== first?.field)
  const orders: readonly Order[] = [
    ...(first ? [first] : []),
    ...rest.map(field => ({ field, isDescending: false })),
  ]
  const parts = orders.map(({ field, isDescending }) => ({
    field,
    compare: comparisonOf(table.columns.find(column => column.field === field)),
    sign: isDescending ? -1 : 1,
  }))
  return (a, b) => {
    for (const { field, compare, sign } of parts) {
      const order = withNulls(compare, a[field], b[field])
      if (order !== 0) return order * sign
    }
    return 0
  }
}

function withNulls(compare: Compare, a: unknown, b: unknown): number {
  if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1
  return b === null || b === undefined ? -1 : compare(a, b)
}

const numbers: Compare = (a, b) => Math.sign(Number(a) - Number(b))
const texts: Compare = (a, b) => (a === b ? 0 : String(a) < String(b) ? -1 : 1)
const moments: Compare = (a, b) =>
  numbers(milliseconds(String(a)), milliseconds(String(b))) || texts(fraction(String(a)), fraction(String(b)))

const COMPARISONS: Readonly<Record<string, Compare>> = {
  Boolean: numbers,
  Int: numbers,
  Float: numbers,
  BigInt: decimals,
  Decimal: decimals,
  Date: moments,
  DateTime: moments,
  LocalDateTime: moments,
}

const comparisonOf = (column: Column | undefined): Compare =>
  (column && COMPARISONS[bareType(column)]) ?? texts

/** Compares digit by digit: a number would lose some. */
function decimals(a: unknown, b: unknown): number {
  const [one, other] = [String(a), String(b)]
  const [x, y] = [special(one), special(other)]
  if (x !== 0 || y !== 0) return numbers(x, y)
  const [sign, otherSign] = [one, other].map(text => (text.startsWith('-') ? -1 : 1)) as [number, number]
  if (sign !== otherSign) return /[1-9]/.test(one + other) ? numbers(sign, otherSign) : 0
  const [[i = '', f = ''], [j = '', g = '']] = [one, other].map(text => text.replace('-', '').split('.')) as [
    string[],
    string[],
  ]
  const whole = Math.max(i.length, j.length)
  const part = Math.max(f.length, g.length)
  const padded = (head: string, tail: string) => head.padStart(whole, '0') + tail.padEnd(part, '0')
  return sign * texts(padded(i, f), padded(j, g))
}

/** Postgres has NaN above Infinity. */
const special = (text: string): number => ({ NaN: 2, Infinity: 1, '-Infinity': -1 })[text] ?? 0

function milliseconds(text: string): number {
  if (text === 'infinity') return Number.MAX_VALUE
  if (text === '-infinity') return -Number.MAX_VALUE
  const time = Date.parse(text)
  return Number.isNaN(time) ? -Number.MAX_VALUE / 2 : time // before Christ
}

const fraction = (text: string) => (/\.(\d+)/.exec(text)?.[1] ?? '').padEnd(6, '0')
