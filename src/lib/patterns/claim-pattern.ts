import { type Claims, claimAt, scalarText } from '../claims.js'
import { ListenqlError } from '../errors.js'
import { compileGlob } from '../glob.js'

/** A glob that may contain claims of a viewer: `room:${claims.room}`. */
export interface ClaimPattern {
  readonly hasClaims: boolean
  /** The glob for a viewer that may have any claims: each claim is `*`. */
  readonly widest: string
  /**
   * The glob for a viewer. All characters of a claim's value are literal. Undefined: the pattern matches nothing, since a claim is
   * missing, empty, or not a text, number or boolean.
   */
  globFor(claims: Claims): string | undefined
}

const REFERENCE = /^\$\{([^{}]*)\}/u

/**
 * @throws ListenqlError BAD_CONFIGURATION if the glob is malformed, or a reference is not `${claims.NAME}` or is within brackets
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
      // The same end as in compileGlob. Within brackets, a claim's value could add many characters, or a bracket.
      const end = [...rest].indexOf(']', 2)
      if (end > 0) taken = [...rest].slice(0, end + 1).join('')
      if (taken.includes('${')) throw badReference(pattern, 'a claim may not be within brackets')
    }
    literal += taken
    at += taken.length
  }
  parts.push(literal)
  compileGlob(parts.map(part => (typeof part === 'string' ? part : 'x')).join(''))
  return {
    hasClaims: parts.length > 1,
    widest: parts.map(part => (typeof part === 'string' ? part : '*')).join(''),
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

/** The text of a claim with every special character of globs escaped. */
function quoted(value: unknown): string | undefined {
  const text = scalarText(value)
  // A claim may be as long as a message; keeping the rest would only use memory as long as the viewer exists.
  const enough = text !== undefined && text.length > TOO_LONG_CHARACTERS ? startOf(text) : text
  return enough?.replace(/[*?[\]{},\\!^-]/g, '\\$&')
}

function startOf(text: string): string {
  return [...text.slice(0, 2 * TOO_LONG_CHARACTERS)].slice(0, TOO_LONG_CHARACTERS).join('') // never half of a surrogate pair
}

/** Characters. No channel name is that long, so a text of this length matches none. */
const TOO_LONG_CHARACTERS = 64

function badReference(pattern: string, problem: string): ListenqlError {
  return new ListenqlError('BAD_CONFIGURATION', `in the pattern '${pattern}' ${problem}`, {
    hint: `write \${claims.NAME} for a claim of the viewer`,
  })
}
