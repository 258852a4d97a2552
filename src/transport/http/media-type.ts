/** A media type with its parameters (https://www.rfc-editor.org/rfc/rfc9110#section-8.3.1), names in lower case, values unquoted. */
export interface MediaType {
  /** Such as `application/json`, or a range such as `text/*`. */
  readonly type: string
  readonly parameters: ReadonlyMap<string, string>
}

/** A list such as that of an Accept header; commas and semicolons within quotes belong to their value. */
export function parseMediaTypes(header: string): MediaType[] {
  return splitOutsideQuotes(header, ',').flatMap(part => {
    const [type = '', ...rest] = splitOutsideQuotes(part, ';').map(text => text.trim())
    if (type === '') return []
    const parameters = new Map<string, string>()
    for (const parameter of rest) {
      const equals = parameter.indexOf('=')
      if (equals < 0) continue
      const value = parameter.slice(equals + 1).trim()
      parameters.set(parameter.slice(0, equals).trim().toLowerCase(), unquote(value))
    }
    return [{ type: type.toLowerCase(), parameters }]
  })
}

function splitOutsideQuotes(text: string, separator: ',' | ';'): string[] {
  const parts: string[] = []
  let start = 0
  let isQuoted = false
  for (let i = 0; i < text.length; i++) {
    const character = text[i]
    if (isQuoted && character === '\\') i++
    else if (character === '"') isQuoted = !isQuoted
    else if (character === separator && !isQuoted) {
      parts.push(text.slice(start, i))
      start = i + 1
    }
  }
  parts.push(text.slice(start))
  return parts
}

function unquote(value: string): string {
  return /^".*"$/s.test(value) ? value.slice(1, -1).replace(/\\(.)/gs, '$1') : value
}
