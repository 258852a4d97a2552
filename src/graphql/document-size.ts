import type { DocumentNode } from 'graphql'

/** What graphql-js makes of a token, about, in bytes: the token itself, with its neighbours and place, and its part of a node. */
const TOKEN_BYTES = 300

/** About how many bytes a parsed document takes in memory, beside its text. */
export function documentSize({ tokenCount, loc }: DocumentNode): number {
  // The parser counts tokens if it has a limit for them; none has less than a character.
  return TOKEN_BYTES * (tokenCount ?? loc?.end ?? 0)
}
