import { ListenqlError } from '../errors.js'
import { compileGlob, type Glob } from '../glob.js'

/** A table, view or the like, by its names in the catalogue. */
export interface RelationName {
  readonly schema: string
  readonly name: string
  /** Whether its name alone, without the schema, finds it: its schema is in the search_path. */
  readonly isVisible: boolean
}

/** One item of a list that selects tables: `people`, `chat.*`, `!chat.draft`. */
export interface TablePattern {
  readonly text: string
  /** It begins with `!`: it takes tables off the list again. */
  readonly isNegated: boolean
  /** It has no glob, so it names one table. */
  readonly isName: boolean
  matches(relation: RelationName): boolean
}

/** Characters that are special in a glob. */
const SPECIAL = /[*?[\]{},\\!^-]/g

/**
 * Parses a pattern: the name of a table as SQL writes it, in which globs may stand (see `compileGlob`). The first dot separates schema
 * and table; without one, the pattern matches tables that are visible without their schema. Capitals are folded and double quotes make
 * text literal, as in SQL. A `!` in front negates it.
 * @throws ListenqlError BAD_CONFIGURATION
 */
export function parseTablePattern(text: string): TablePattern {
  const isNegated = text.startsWith('!')
  const parts = partsOf(isNegated ? text.slice(1) : text, text)
  if (parts.some(({ glob }) => glob === '')) throw malformed(text, 'lacks the name of a schema or a table')
  if (parts.length > 2) throw malformed(text, 'has more than one dot; it is SCHEMA.TABLE')
  const globs = parts.map(({ glob }) => compilePart(glob, text))
  const [first, second] = globs as [Glob, Glob | undefined]
  return {
    text,
    isNegated,
    isName: parts.every(part => part.isName),
    matches: ({ schema, name, isVisible }) =>
      second ? first.test(schema) && second.test(name) : isVisible && first.test(name),
  }
}

/**
 * The pattern that decides about a table: the last one that matches it. The table is selected unless that pattern is negated.
 * Undefined: none matches, and the table is not selected.
 */
export function decidingPattern<Pattern extends Pick<TablePattern, 'matches'>>(
  patterns: readonly Pattern[],
  relation: RelationName,
): Pattern | undefined {
  return patterns.findLast(pattern => pattern.matches(relation))
}

/** Whether a word is a pattern: it has a glob outside double quotes, or is negated. Otherwise it is a name as SQL writes it. */
export function hasGlob(word: string): boolean {
  return word.startsWith('!') || /[*?[{]/.test(word.replace(/"[^"]*"/g, ''))
}

/** A pattern for a schema of exactly this name, as `--schema` gives it, and all of its tables. */
export function schemaPattern(schema: string): TablePattern {
  return {
    text: `--schema ${schema}`,
    isNegated: false,
    isName: false,
    matches: relation => relation.schema === schema,
  }
}

function compilePart(glob: string, text: string): Glob {
  try {
    return compileGlob(glob)
  } catch {
    throw malformed(text, 'has a bracket or brace that is not closed or holds an impossible range')
  }
}

interface Part {
  glob: string
  isName: boolean
}

function partsOf(pattern: string, text: string): readonly Part[] {
  const parts: Part[] = [{ glob: '', isName: true }]
  const characters = [...pattern]
  let depth = 0
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] as string
    const part = parts.at(-1) as Part
    if (character === '"') {
      const end = quoteEnd(characters, i + 1)
      if (end < 0) throw malformed(text, 'has a double quote that is not closed')
      const literal = characters
        .slice(i + 1, end)
        .join('')
        .replaceAll('""', '"')
      part.glob += literal.replace(SPECIAL, '\\$&')
      i = end
    } else if (character === '\\') {
      part.glob += `\\${characters[++i] ?? '\\'}`
    } else if (character === '[') {
      // The same end as in compileGlob, which refuses brackets without one.
      const end = characters.indexOf(']', i + 2)
      part.glob += fold(characters.slice(i, end < 0 ? undefined : end + 1).join(''))
      part.isName = false
      if (end < 0) break
      i = end
    } else if (character === '.' && depth > 0) {
      throw malformed(text, 'has a dot within braces; write one pattern for each schema')
    } else if (character === '.') {
      parts.push({ glob: '', isName: true })
    } else {
      if (character === '{') depth++
      if (character === '}' && depth > 0) depth--
      if ('*?{'.includes(character)) part.isName = false
      part.glob += fold(character)
    }
  }
  return parts
}

/** The index of the quote that ends a text; two quotes are one in the text. -1: there is none. */
function quoteEnd(characters: readonly string[], from: number): number {
  for (let i = from; i < characters.length; i++) {
    if (characters[i] !== '"') continue
    if (characters[i + 1] !== '"') return i
    i++
  }
  return -1
}

/** Postgres folds the letters of ASCII only, in encodings with several bytes a character. */
function fold(text: string): string {
  return text.replace(/[A-Z]/g, letter => letter.toLowerCase())
}

function malformed(text: string, problem: string): ListenqlError {
  return new ListenqlError('BAD_CONFIGURATION', `the pattern '${text}' ${problem}`, {
    hint: `patterns are written as people, 'chat.*', '!chat.draft' or 'chat."Mixed Case"'`,
  })
}
