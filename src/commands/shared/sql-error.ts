import { messageOf } from '../../lib/errors.js'
import { escapeControls, textWidth } from '../../lib/table.js'

/** psql's limit for the line that an error points into, in terminal columns. */
const LINE_WIDTH = 60

/**
 * An error or notice of Postgres as psql shows it (with `\set VERBOSITY verbose` for the SQLSTATE), ended with a newline:
 * `ERROR:  42P01: relation "x" does not exist`, the LINE with a caret, DETAIL, HINT, QUERY, CONTEXT. Other errors give one
 * line. Fields: https://www.postgresql.org/docs/current/protocol-error-fields.html
 */
export function formatDatabaseError(error: unknown, sql: string): string {
  const field = (name: string): string | undefined => {
    const value: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, name) : undefined
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const severity = field('severity')
  if (severity === undefined) return `ERROR:  ${escapeControls(messageOf(error))}\n`
  // The code of a notice has no meaning, and psql omits its context.
  const fatal = /^(ERROR|FATAL|PANIC)$/.test(severity)
  const code = fatal && field('code') ? `${field('code')}: ` : ''
  const lines = [`${severity}:  ${code}${readable(field('message') ?? '')}`]
  const position = Number(field('position'))
  const internalPosition = Number(field('internalPosition'))
  const internalQuery = field('internalQuery')
  if (position > 0) lines.push(...pointAt(sql, position))
  else if (internalPosition > 0 && internalQuery) lines.push(...pointAt(internalQuery, internalPosition))
  for (const [label, text] of [
    ['DETAIL', field('detail')],
    ['HINT', field('hint')],
    ['QUERY', fatal ? internalQuery : undefined],
    ['CONTEXT', fatal ? field('where') : undefined],
  ] as const) {
    if (text) lines.push(`${label}:  ${readable(text)}`)
  }
  return `${lines.join('\n')}\n`
}

/** Keeps line breaks; escapes everything else that would affect the terminal. */
function readable(text: string): string {
  return text.split('\n').map(escapeControls).join('\n')
}

/** `LINE 2: …` and a caret below the character at `position` (from 1, in code points as Postgres counts them). */
function pointAt(sql: string, position: number): string[] {
  const before = [...sql].slice(0, position - 1).join('')
  const start = before.lastIndexOf('\n') + 1
  const end = sql.indexOf('\n', before.length)
  const show = (text: string) => escapeControls(text.replaceAll('\t', ' ').replace(/\r$/, ''))
  let left = show(before.slice(start))
  let right = show(sql.slice(before.length, end < 0 ? undefined : end))
  if (textWidth(left + right) > LINE_WIDTH) {
    // Keep more of what comes before the position than of what follows, as psql does.
    const kept = cut([...left].reverse(), LINE_WIDTH - Math.min(textWidth(right), 20))
      .reverse()
      .join('')
    left = kept === left ? left : `...${kept}`
    const rest = cut([...right], LINE_WIDTH - textWidth(kept)).join('')
    right = rest === right ? right : `${rest}...`
  }
  const label = `LINE ${before.split('\n').length}: `
  return [label + left + right, `${' '.repeat(label.length + textWidth(left))}^`]
}

function cut(characters: string[], width: number): string[] {
  let used = 0
  return characters.filter(character => {
    used += textWidth(character)
    return used <= width
  })
}
