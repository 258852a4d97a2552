import { quoteLiteral } from '../../postgres/quote-literal.js'
import { textArray } from '../../postgres/statements/multi-statement.js'

/** The value of a parameter of a plan's SQL, which is a text or a list of texts, as SQL. */
export function literalOf(value: unknown): string {
  return Array.isArray(value) ? textArray(value) : quoteLiteral(String(value))
}
