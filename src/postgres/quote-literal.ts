import { randomBytes } from 'node:crypto'

/**
 * A text as a literal of SQL, under any `standard_conforming_strings`. It is dollar-quoted
 * (https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-DOLLAR-QUOTING), so nothing is escaped: JSON of
 * megabytes may have a million backslashes, and escaping them would block the process for seconds, most of them in the garbage
 * collector.
 */
export function quoteLiteral(text: string): string {
  let tag: string
  do tag = `$q${randomBytes(8).toString('hex')}`
  while (text.includes(tag)) // without its last $, with which the literal goes on after a text that ends like this
  return `${tag}$${text}${tag}$`
}
