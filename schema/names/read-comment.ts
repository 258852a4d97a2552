import { isPlain } from './identifiers.js'

/** A comment on a table or column: the name that its tag `@name` gives, and its description. */
export interface ReadComment {
  /** A name that is valid in GraphQL. Undefined: there is no tag, or it cannot be used. */
  readonly name?: string
  /** Why the tag cannot be used, and what to write. */
  readonly problem?: string
  /** The comment without its lines `@name`; null if nothing is left. */
  readonly description: string | null
}

/** Most characters of a name, the most that a name of Postgres has. */
const MAX_LENGTH = 63

/**
 * Reads a comment. Tags are lines at its beginning, as PostGraphile's smart tags are: `@name person`, then the description. Lines of
 * other tags belong to the description.
 */
export function readComment(comment: string | null): ReadComment {
  const lines = (comment ?? '').split(/\r?\n/)
  const names: string[] = []
  const kept: string[] = []
  for (const [at, line] of lines.entries()) {
    const [, tag, value = ''] = /^\s*@([A-Za-z]\w*)(?:\s+(.*))?$/.exec(line) ?? []
    if (tag === 'name') names.push(value.trim())
    else if (tag !== undefined || line.trim() === '') kept.push(line)
    else {
      kept.push(...lines.slice(at))
      break
    }
  }
  if (names.length === 0) return { description: comment }
  const description = kept.join('\n').trim() || null
  const problem = problemOf(names)
  return problem === undefined ? { name: names[0] as string, description } : { problem, description }
}

function problemOf([name = '', ...more]: readonly string[]): string | undefined {
  if (more.length > 0) return 'there is more than one: keep one'
  if (name === '') return 'it has no name: write @name and the name'
  if (isPlain(name) && name.length <= MAX_LENGTH) return undefined
  const shown = JSON.stringify(name.length > MAX_LENGTH ? `${name.slice(0, MAX_LENGTH)}…` : name)
  return `${shown} is not a name in GraphQL: use up to ${MAX_LENGTH} letters (A to Z), digits and underscores, no digit first`
}
