import { NotShown } from './ask.js'

const longest = 200
const longestTitle = 20_000
// What fits into a cell, even in letters of double width. The style sheet cuts what is wider.
const fits = /^(?:[ -~]{0,24}|[^\n]{0,15})$/u

/**
 * How a value is shown: `text` in its cell, `kind` for the style sheet (null, empty, number, moment, json, hidden or text),
 * `title` the whole of what is or may be cut. `type` is that of the column: moments are shown to the second, in the time zone
 * they came in.
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

/** JSON on one line, with spaces where people put them. */
function spaced(value) {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`
  if (value instanceof NotShown) return 'not shown'
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const pairs = Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${spaced(each)}`)
  return `{${pairs.join(', ')}}`
}

const plain = (_key, value) => (value instanceof NotShown ? `not shown: ${value.why}` : value)
