import { reasonOf } from '../session/not-shown.js'

const MAX_CELL = 200
const MAX_WHOLE = 200_000

/** How a value is shown. */
export interface ShownValue {
  /** For the style sheet. */
  readonly kind: 'null' | 'empty' | 'number' | 'moment' | 'json' | 'hidden' | 'text'
  /** On one line, in a cell. */
  readonly text: string
  /** All of it, in the panel. */
  readonly whole: string
}

/** @param type that of the column: times are shown to the second, in the time zone in which they arrived */
export function shownValue(value: unknown, type = ''): ShownValue {
  if (value === null || value === undefined) return { kind: 'null', text: 'NULL', whole: 'NULL' }
  if (value === '') return { kind: 'empty', text: '(empty)', whole: '(empty)' }
  const why = reasonOf(value)
  if (why !== undefined) return { kind: 'hidden', text: 'not shown', whole: why }
  if (/^(Local)?DateTime!?$/.test(type))
    return { kind: 'moment', text: toTheSecond(String(value)), whole: String(value) }
  if (typeof value === 'object') return shownJson(value)
  const text = String(value)
  return {
    kind: typeof value === 'string' ? 'text' : 'number',
    text: cut(text, MAX_CELL),
    whole: cut(text, MAX_WHOLE),
  }
}

function shownJson(value: object): ShownValue {
  try {
    const whole = JSON.stringify(
      value,
      (_key, each) => (reasonOf(each) ? `not shown: ${reasonOf(each)}` : each),
      2,
    )
    return { kind: 'json', text: cut(spaced(value), MAX_CELL), whole: cut(whole, MAX_WHOLE) }
  } catch {
    return { kind: 'hidden', text: 'not shown', whole: 'It is nested too deeply for this page.' }
  }
}

const cut = (text: string, longest: number) => (text.length > longest ? `${text.slice(0, longest)}…` : text)

const toTheSecond = (text: string) =>
  text.replace(
    /^(\d+-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(.*)$/,
    (_, day: string, time: string, zone: string) => `${day} ${time}${zone === '+00:00' ? 'Z' : zone}`,
  )

/** JSON on one line, with a space after each comma and colon. */
function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`
  if (reasonOf(value) !== undefined) return 'not shown'
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const pairs = Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${spaced(each)}`)
  return `{${pairs.join(', ')}}`
}
