/** Finds where values end in a JSON text that Postgres wrote. It assumes valid JSON; invalid JSON ends in a `SyntaxError`. */

/** The end of the string whose opening quote is at `from`: the index after its closing quote. */
export function endOfString(text: string, from: number): number {
  let quote = from
  for (;;) {
    quote = text.indexOf('"', quote + 1)
    if (quote < 0) throw new SyntaxError('a string in a row image has no end')
    let before = quote - 1
    while (text.charCodeAt(before) === 0x5c) before--
    if ((quote - before) % 2 === 1) return quote + 1
  }
}

/** The end of the value that starts at `from`, which must not be white space. */
export function endOfValue(text: string, from: number): number {
  const first = text.charCodeAt(from)
  if (first === 0x22) return endOfString(text, from)
  if (first === 0x7b || first === 0x5b) return endOfNested(text, from)
  let at = from
  for (;;) {
    const code = text.charCodeAt(at)
    // The end of the text gives NaN, which is none of these.
    if (code === 0x2c || code === 0x7d || code === 0x5d || code <= 0x20) break
    if (Number.isNaN(code)) throw new SyntaxError('a row image has no end')
    at++
  }
  if (at === from) throw new SyntaxError('a value is missing in a row image')
  return at
}

/** The texts of the elements of an array. */
export function elementsOf(text: string): string[] {
  const elements: string[] = []
  let at = skipSpace(text, skipSpace(text, 0) + 1)
  if (text.charCodeAt(at) === 0x5d) return elements
  for (;;) {
    const end = endOfValue(text, at)
    elements.push(text.slice(at, end))
    at = skipSpace(text, end)
    if (text.charCodeAt(at) === 0x5d) return elements
    if (text.charCodeAt(at) !== 0x2c) throw new SyntaxError('a comma is missing in an array')
    at = skipSpace(text, at + 1)
  }
}

/** The first index from `at` on that is not white space. */
export function skipSpace(text: string, at: number): number {
  let next = at
  while (text.charCodeAt(next) <= 0x20) next++
  return next
}

function endOfNested(text: string, from: number): number {
  let depth = 0
  let at = from
  for (;;) {
    const code = text.charCodeAt(at)
    if (code === 0x22) {
      at = endOfString(text, at)
      continue
    }
    if (code === 0x7b || code === 0x5b) depth++
    else if ((code === 0x7d || code === 0x5d) && --depth === 0) return at + 1
    else if (Number.isNaN(code)) throw new SyntaxError('a row image has no end')
    at++
  }
}
