import { NotShown } from './ask.js'

const longest = 200
const longestTitle = 20_000
// The number of characters that fit into a cell, even at double width. The style sheet cuts wider text.
const fits = /^(?:[ -~]{0,24}|[^\n]{0,15})$/u

/**
 * How a value is shown: `text` in its cell, `kind` for the style sheet (null, empty, number, moment, json, hidden or text),
 * `title` the full text if the cell cuts it or may cut it. `type` is the type of the column: times are shown to the second, in the
 * time zone in which they arrived.
 */
export function shownValue(value, type = '') {
  if (value === null || value === undefined) return { kind: 'null', text: 'NULL', title: '' }
  if (value === '') return { kind: 'empty', text: '(empty)', title: '' }
  if (value instanceof NotShown) return { kind: 'hidden', text: 'not shown', title: value.why }
  if (/^(Local)?DateTime!?$/.test(type)) return { kind: 'moment', text: toTheSecond(value), title: value }
  if (typeof value === 'object') return shownJson(value)
  return cut(typeof value === 'string' ? 'text' : 'number', String(value))
}

function shownJson(value) {
  try {
    return cut('json', spaced(value), JSON.stringify(value, plain, 2))
  } catch {
    return { kind: 'hidden', text: 'not shown', title: 'It is nested too deeply for this page.' }
  }
}

function cut(kind, text, whole = text) {
  const title = fits.test(text) ? '' : whole
  return {
    kind,
    text: text.length > longest ? `${text.slice(0, longest)}…` : text,
    title: title.length > longestTitle ? `${title.slice(0, longestTitle)}…` : title,
  }
}

const toTheSecond = text =>
  text.replace(
    /^(\d+-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(.*)$/,
    (_, day, time, zone) => `${day} ${time}${zone === '+00:00' ? 'Z' : zone}`,
  )

/** JSON on one line, with a space after each comma and colon. */
function spaced(value) {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`
  if (value instanceof NotShown) return 'not shown'
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const pairs = Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${spaced(each)}`)
  return `{${pairs.join(', ')}}`
}

const plain = (_key, value) => (value instanceof NotShown ? `not shown: ${value.why}` : value)
