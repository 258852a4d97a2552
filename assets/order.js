import { bareType, isNewestFirst } from './documents.js'

/**
 * Compares two rows as the server orders them: by key, with the first column descending if the newest row is shown first. Only the
 * database knows the order of enum labels and of unusual types; they are compared as text, so a new row may be in the wrong place
 * until the table is read again.
 */
export function byKey(table) {
  const newestFirst = isNewestFirst(table)
  const parts = table.key.map((field, index) => {
    const type = bareType(table.columns.find(column => column.field === field))
    return { field, compare: comparisons[type] ?? texts, sign: index === 0 && newestFirst ? -1 : 1 }
  })
  return (a, b) => {
    for (const { field, compare, sign } of parts) {
      const order = compare(a[field], b[field])
      if (order !== 0) return order * sign
    }
    return 0
  }
}

const numbers = (a, b) => Math.sign(a - b)
const texts = (a, b) => (String(a) < String(b) ? -1 : Number(a !== b))
const moments = (a, b) => numbers(milliseconds(a), milliseconds(b)) || texts(fraction(a), fraction(b))

const comparisons = {
  Int: numbers,
  Float: numbers,
  BigInt: decimals,
  Decimal: decimals,
  Date: moments,
  DateTime: moments,
  LocalDateTime: moments,
}

// A number would lose digits.
function decimals(a, b) {
  const [x, y] = [a, b].map(special)
  if (x !== 0 || y !== 0) return numbers(x, y)
  const signs = [a, b].map(text => (text.startsWith('-') ? -1 : 1))
  if (signs[0] !== signs[1]) return /[1-9]/.test(a + b) ? numbers(...signs) : 0
  const [[i, f = ''], [j, g = '']] = [a, b].map(text => text.replace('-', '').split('.'))
  const whole = Math.max(i.length, j.length)
  const part = Math.max(f.length, g.length)
  return (
    signs[0] *
    texts(i.padStart(whole, '0') + f.padEnd(part, '0'), j.padStart(whole, '0') + g.padEnd(part, '0'))
  )
}

/** Postgres has NaN above Infinity. */
const special = text => ({ NaN: 2, Infinity: 1, '-Infinity': -1 })[text] ?? 0

function milliseconds(text) {
  if (text === 'infinity') return Number.MAX_VALUE
  if (text === '-infinity') return -Number.MAX_VALUE
  const time = Date.parse(text)
  return Number.isNaN(time) ? -Number.MAX_VALUE / 2 : time // before Christ
}

const fraction = text => (/\.(\d+)/.exec(text)?.[1] ?? '').padEnd(6, '0')
