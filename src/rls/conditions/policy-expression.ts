// Reads the few forms of SQL expressions, as pg_get_expr writes them, from which conditions are made. It is strict: Postgres encloses each
// operator in parentheses, and whatever has another form (a qualified name, COLLATE, another keyword, an escaped string) is not read.

export type PolicyExpression =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly PolicyExpression[] }
  | {
      readonly kind: 'operator'
      readonly operator: '=' | '->>'
      readonly left: PolicyExpression
      readonly right: PolicyExpression
    }
  | { readonly kind: 'cast'; readonly type: string; readonly of: PolicyExpression }
  /** `( SELECT of )`, without FROM. */
  | { readonly kind: 'select'; readonly of: PolicyExpression }
  | { readonly kind: 'call'; readonly name: string; readonly values: readonly PolicyExpression[] }
  | { readonly kind: 'string'; readonly value: string }
  /** A column, or `true` or `false`, which are quoted if they are columns. */
  | { readonly kind: 'name'; readonly name: string; readonly isQuoted: boolean }

/** Words in lower case are names that need no quotes; Postgres writes keywords in upper case. */
const TOKEN =
  /\s*(?:([a-z_][a-z0-9_]*|AND|OR|SELECT|AS|NULLIF|COALESCE)\b|("(?:[^"]|"")+")|('[^'\\]*')(?!')|(::|->>|[(),=]))/y
const NAME = /^[a-z_]/

interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'sign'
  readonly text: string
}

/** Deepest nesting that is read. */
const MAX_DEPTH = 50

/** @returns undefined: it has a form that is not read */
export function readPolicyExpression(sql: string): PolicyExpression | undefined {
  const tokens = tokensOf(sql)
  if (!tokens) return undefined
  let at = 0

  const isNext = (text: string) => tokens[at]?.kind !== 'string' && tokens[at]?.text === text
  function take(text: string): boolean {
    if (!isNext(text)) return false
    at++
    return true
  }

  function expression(depth: number): PolicyExpression | undefined {
    if (depth > MAX_DEPTH) return undefined
    let read = primary(depth)
    while (read && take('::')) {
      const type = tokens?.[at++]
      if (type?.kind !== 'word' || !NAME.test(type.text)) return undefined
      read = { kind: 'cast', type: type.text, of: read }
    }
    return read
  }

  function primary(depth: number): PolicyExpression | undefined {
    const token = tokens?.[at++]
    if (!token) return undefined
    const { kind, text } = token
    if (kind === 'string') return { kind: 'string', value: text.slice(1, -1) }
    if (kind === 'quoted')
      return { kind: 'name', name: text.slice(1, -1).replaceAll('""', '"'), isQuoted: true }
    if (kind === 'sign') return text === '(' ? enclosed(depth + 1) : undefined
    if (take('(')) return call(text, depth + 1)
    return NAME.test(text) ? { kind: 'name', name: text, isQuoted: false } : undefined
  }

  function call(name: string, depth: number): PolicyExpression | undefined {
    const values: PolicyExpression[] = []
    do {
      const value = expression(depth)
      if (!value) return undefined
      values.push(value)
    } while (take(','))
    return take(')') ? { kind: 'call', name, values } : undefined
  }

  /** What stands between parentheses. */
  function enclosed(depth: number): PolicyExpression | undefined {
    const read = take('SELECT') ? selected(depth) : joined(depth)
    return read && take(')') ? read : undefined
  }

  function selected(depth: number): PolicyExpression | undefined {
    const of = expression(depth)
    if (!of) return undefined
    if (take('AS')) {
      const kind = tokens?.[at++]?.kind
      if (kind !== 'word' && kind !== 'quoted') return undefined
    }
    return { kind: 'select', of }
  }

  function joined(depth: number): PolicyExpression | undefined {
    const left = expression(depth)
    if (!left) return undefined
    for (const operator of ['=', '->>'] as const) {
      if (!take(operator)) continue
      const right = expression(depth)
      return right && { kind: 'operator', operator, left, right }
    }
    for (const [word, kind] of [
      ['AND', 'and'],
      ['OR', 'or'],
    ] as const) {
      if (!isNext(word)) continue
      const parts = [left]
      while (take(word)) {
        const part = expression(depth)
        if (!part) return undefined
        parts.push(part)
      }
      return { kind, parts }
    }
    return left
  }

  const read = expression(0)
  return at === tokens.length ? read : undefined
}

function tokensOf(sql: string): Token[] | undefined {
  const tokens: Token[] = []
  const text = sql.trimEnd()
  for (TOKEN.lastIndex = 0; TOKEN.lastIndex < text.length; ) {
    const [, word, quoted, string, sign] = TOKEN.exec(text) ?? []
    if (word !== undefined) tokens.push({ kind: 'word', text: word })
    else if (quoted !== undefined) tokens.push({ kind: 'quoted', text: quoted })
    else if (string !== undefined) tokens.push({ kind: 'string', text: string })
    else if (sign !== undefined) tokens.push({ kind: 'sign', text: sign })
    else return undefined
  }
  return tokens
}
