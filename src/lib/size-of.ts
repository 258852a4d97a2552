/** Approximate memory of an object or a list in V8, and of each member, in bytes. */
const OBJECT_BYTES = 56
const SLOT_BYTES = 24
const NUMBER_BYTES = 16

/**
 * Approximate memory of a value from JSON, in bytes: `[{},{},{}]` takes twenty times its text. Without recursion, since the value
 * may be nested deeper than the stack.
 */
export function sizeOf(value: unknown): number {
  let size = 0
  const rest: unknown[] = [value]
  while (rest.length > 0) {
    const next = rest.pop()
    if (typeof next === 'string') size += textSize(next)
    else if (typeof next !== 'object' || next === null) size += NUMBER_BYTES
    else if (Array.isArray(next)) {
      size += OBJECT_BYTES + SLOT_BYTES * next.length
      for (const item of next) rest.push(item)
    } else {
      size += OBJECT_BYTES
      for (const [name, item] of Object.entries(next)) {
        size += SLOT_BYTES + textSize(name)
        rest.push(item)
      }
    }
  }
  return size
}

/** Two bytes for each unit, as in a text with a character beyond Latin-1. */
export function textSize(text: string): number {
  return SLOT_BYTES + 2 * text.length
}
