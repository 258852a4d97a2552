const indent = '  '
// A token is a string, a bracket, a comma, a colon, or a run of anything else (a number, true, false, null).
const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g

/**
 * Formats JSON text over several lines. Only the white space changes: numbers keep every digit, which a trip through
 * JSON.parse and JSON.stringify would round (9007199254740993, 1.50).
 * Text that is not a JSON object or array comes back as it is.
 */
export function pretty(text: string): string {
  if (!isObjectOrArray(text)) return text
  let out = ''
  let depth = 0
  let previous = ''
  for (const [part] of text.matchAll(token)) {
    const closes = part === '}' || part === ']'
    const opened = previous === '{' || previous === '['
    if (closes) depth -= 1
    if (opened !== closes || previous === ',') out += previous === '' ? '' : `\n${indent.repeat(depth)}`
    out += part === ':' ? ': ' : part
    if (part === '{' || part === '[') depth += 1
    previous = part
  }
  return out
}

function isObjectOrArray(text: string): boolean {
  if (!/^\s*[{[]/.test(text)) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
