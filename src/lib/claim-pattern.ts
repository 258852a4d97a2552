import { type Claims, claimAt, scalarText } from './claims.js'
import { ListenqlError } from './errors.js'
import { compileGlob } from './glob.js'

/** A glob that may hold claims of a viewer: `room:${claims.room}`. */
export interface ClaimPattern {
  readonly hasClaims: boolean
  /**
   * The glob for a viewer. A claim's value stands for itself, whatever characters it holds. Undefined: the pattern matches
   * nothing, since a claim is missing, empty, or neither text, number nor boolean.
   */
  globFor(claims: Claims): string | undefined
}

const REFERENCE = /^\$\{([^{}]*)\}/u

/**
 * @throws ListenqlError BAD_CONFIGURATION if the glob is malformed, or a reference is not `${claims.NAME}` or stands in brackets
 */
export function parseClaimPattern(pattern: string): ClaimPattern {
  const parts: (string | { readonly claim: string })[] = []
  let literal = ''
  for (let at = 0; at < pattern.length; ) {
    const rest = pattern.slice(at)
    const [whole, name = ''] = REFERENCE.exec(rest) ?? []
    let taken = String.fromCodePoint(rest.codePointAt(0) as number)
    if (whole !== undefined) {
      if (!/^claims\..+$/su.test(name)) throw badReference(pattern, `${whole} is not \${claims.NAME}`)
      parts.push(literal, { claim: name.slice('claims.'.length) })
      literal = ''
      at += whole.length
      continue
    }
    if (taken === '\\') taken += [...rest.slice(1)][0] ?? ''
    else if (taken === '[') {
      // As compileGlob finds the end: what would stand for one character could bring many, or a bracket.
      const end = [...rest].indexOf(']', 2)
      if (end > 0) taken = [...rest].slice(0, end + 1).join('')
      if (taken.includes('${')) throw badReference(pattern, 'a claim cannot stand in brackets')
    }
    literal += taken
    at += taken.length
  }
  parts.push(literal)
  compileGlob(parts.map(part => (typeof part === 'string' ? part : 'x')).join(''))
  return {
    hasClaims: parts.length > 1,
    globFor(claims) {
      let glob = ''
      for (const part of parts) {
        const text = typeof part === 'string' ? part : quoted(claimAt(claims, part.claim))
        if (text === undefined) return undefined
        glob += text
      }
      return glob
    },
  }
}

/** The text of a claim with the special meaning taken from each character of a glob. */
function quoted(value: unknown): string | undefined {
  const text = scalarText(value)
  // A claim may be as long as a message; its rest would only be kept for as long as the viewer is there.
  const enough = text !== undefined && text.length > TOO_LONG_CHARACTERS ? startOf(text) : text
  return enough?.replace(/[*?[\]{},\\!^-]/g, '\\$&')
}

function startOf(text: string): string {
  return [...text.slice(0, 2 * TOO_LONG_CHARACTERS)].slice(0, TOO_LONG_CHARACTERS).join('') // no half of a surrogate pair
}

/** Characters. No name of a channel has as many, so that a text which begins with them matches none, whatever follows. */
const TOO_LONG_CHARACTERS = 64

function badReference(pattern: string, problem: string): ListenqlError {
  return new ListenqlError('BAD_CONFIGURATION', `in the pattern '${pattern}' ${problem}`, {
    hint: `write \${claims.NAME} for a claim of the viewer`,
  })
}
