import type { DocumentNode } from 'graphql'

/** Approximate memory of one token in graphql-js, in bytes: the token, its links and location, and its share of a node. */
const TOKEN_BYTES = 300

/** Approximate memory of a parsed document in bytes, without its text. */
export function documentSize({ tokenCount, loc }: DocumentNode): number {
  // The parser counts tokens only if they are limited; each has at least one character.
  return TOKEN_BYTES * (tokenCount ?? loc?.end ?? 0)
}
