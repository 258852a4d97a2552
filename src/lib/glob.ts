import { ListenqlError } from './errors.js'

/**
 * A glob over whole names, not over paths: `*` any characters or none, `?` exactly one, `[abc]`, `[a-z]` and `[!abc]` one of
 * (or none of) these, `{one,two}` alternatives, `\` takes the special meaning from the next character. No character is
 * special in the name: dots, slashes and newlines match like letters. Case matters.
 * @throws ListenqlError BAD_CONFIGURATION if a bracket or a brace is not closed
 */
export function compileGlob(glob: string): RegExp {
  let source = ''
  let depth = 0
  const characters = [...glob]
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] as string
    if (character === '\\' && i + 1 < characters.length) source += quote(characters[++i] as string)
    else if (character === '*') source += '.*'
    else if (character === '?') source += '.'
    else if (character === '[') {
      const end = characters.indexOf(']', i + 2)
      if (end < 0) throw malformed(glob, '[')
      source += characterClass(characters.slice(i + 1, end), glob)
      i = end
    } else if (character === '{') {
      depth++
      source += '(?:'
    } else if (character === '}' && depth > 0) {
      depth--
      source += ')'
    } else if (character === ',' && depth > 0) source += '|'
    else source += quote(character)
  }
  if (depth > 0) throw malformed(glob, '{')
  return new RegExp(`^(?:${source})$`, 'su')
}

function characterClass(characters: string[], glob: string): string {
  const negated = characters[0] === '!' || characters[0] === '^'
  const members = negated ? characters.slice(1) : characters
  // A hyphen stays as it is between two characters, where it means a range.
  const text = members.map((c, i) => (c === '-' && i > 0 && i < members.length - 1 ? c : quote(c))).join('')
  try {
    new RegExp(`[${text}]`, 'u')
  } catch {
    throw malformed(glob, '[')
  }
  return `[${negated ? '^' : ''}${text}]`
}

function quote(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`
}

function malformed(glob: string, bracket: string): ListenqlError {
  return new ListenqlError(
    'BAD_CONFIGURATION',
    `the pattern '${glob}' has a '${bracket}' that is not closed or holds an impossible range`,
    {
      hint: `write \\${bracket} for the character itself`,
    },
  )
}
