import { forbiddenRole } from '../auth/errors.js'
import { ListenqlError } from '../lib/errors.js'
import type { UnknownRead } from './reads/policy-reads.js'

export interface Named {
  readonly schema: string
  readonly name: string
}

/** `table people`, `table chat.messages`: the schema is left out if it is `public`. */
export function tableWords({ schema, name }: Named): string {
  return `table ${schema === 'public' ? name : `${schema}.${name}`}`
}

export function altered(table: Named): ListenqlError {
  return new ListenqlError('SCHEMA_CHANGED', `${tableWords(table)} was altered or no longer exists`, {
    hint: 'try again in a second',
  })
}

export function noRole(role: string): ListenqlError {
  return forbiddenRole(`there is no role ${role}`)
}

export function mayNotBeTaken(role: string): ListenqlError {
  return forbiddenRole(`the server's login may not take the role ${role}: grant the role to the login`)
}

export function mayNotRead(table: Named, role: string, cause?: unknown): ListenqlError {
  return new ListenqlError('FORBIDDEN', `role ${role} may not read ${tableWords(table)}`, {
    hint: 'it needs SELECT on the table or its columns, and USAGE on the schema',
    cause,
  })
}

export function mayNotReadColumn(table: Named, column: string, role: string): ListenqlError {
  return new ListenqlError(
    'FORBIDDEN',
    `role ${role} may not read column ${column} of ${tableWords(table)}`,
    {
      hint: 'leave it out, or grant SELECT on it',
    },
  )
}

/** A subscriber that followed the table until now saw all of its rows. */
export function securedMeanwhile(table: Named): ListenqlError {
  return new ListenqlError(
    'SCHEMA_CHANGED',
    `row-level security now applies to the rows of ${tableWords(table)}`,
    {
      hint: 'subscribe again',
    },
  )
}

/** The viewer stands for several tokens, and the policies distinguish between them now. */
export function tokensMatterMeanwhile(table: Named): ListenqlError {
  return new ListenqlError(
    'SCHEMA_CHANGED',
    `the policies of ${tableWords(table)} may now read all claims of the token`,
    { hint: 'subscribe again' },
  )
}

/** The policy needs a value that an image lacks, or its SQL does not work on an image. */
export function cannotBeAsked(table: Named, policy: string, reason: string, cause?: unknown): ListenqlError {
  return new ListenqlError(
    'FORBIDDEN',
    `the changes of ${tableWords(table)} cannot be followed under its row-level security: policy ${policy}: ${reason}`,
    { hint: 'see Row-level security in docs/security.md', cause },
  )
}

/** A policy of a live query reads a table whose changes are not logged. @param other the table */
export function policyNotWatched(table: Named, policy: string, other: Named): ListenqlError {
  const name = other.schema === 'public' ? other.name : `${other.schema}.${other.name}`
  return new ListenqlError(
    'POLICY_NOT_WATCHED',
    `the policy ${policy} of ${tableWords(table)} reads ${tableWords(other)}, which is not watched: a live query could not follow it`,
    { hint: `run listenql watch ${name}, or let the server read again with --live-refresh` },
  )
}

/** A policy of a live query depends on something that no event shows. */
export function policyNotFollowed(
  table: Named,
  { policy, what, reason, isDeclarable }: UnknownRead,
): ListenqlError {
  const refresh = 'let the server read again with --live-refresh'
  return new ListenqlError(
    'POLICY_NOT_WATCHED',
    `the policy ${policy} of ${tableWords(table)} uses ${what}, which ${reason}: a live query could not follow it`,
    {
      hint: isDeclarable
        ? `declare what it reads (comment on ${what.replace(/^the /, '')} is '@listenql reads public.members'), or ${refresh}`
        : refresh,
    },
  )
}

/**
 * A policy names an object in a schema, and the role that parses the policy lacks USAGE on that schema.
 * @param reader the role or login that needs USAGE, as the hint names it
 */
export function outOfReach(
  table: Named,
  policy: string,
  reason: string,
  reader: string,
  cause: unknown,
): ListenqlError {
  return new ListenqlError(
    'FORBIDDEN',
    `the changes of ${tableWords(table)} cannot be followed under its row-level security: policy ${policy}: ${reason}`,
    { hint: `grant USAGE on that schema to ${reader}: listenql parses policies as SQL`, cause },
  )
}

/** Policies that failed for one viewer. Postgres's message may hold values: it goes to the log only. */
export function policiesFailed(table: Named, cause: unknown): ListenqlError {
  return new ListenqlError(
    'FORBIDDEN',
    `the row-level security of ${tableWords(table)} failed for this viewer`,
    {
      hint: 'the log of the server has the reason',
      cause,
    },
  )
}

export function policiesTooSlow(table: Named, budget: number, cause: unknown): ListenqlError {
  return new ListenqlError(
    'QUERY_TIMEOUT',
    `the row-level security of ${tableWords(table)} took longer than ${budget} ms for this viewer`,
    { hint: 'make its policies faster: --policy-timeout sets the limit', cause },
  )
}

/** A lock of another session kept the policies from being evaluated. */
export function lockedTooLong({ name }: Named, cause: unknown): ListenqlError {
  return new ListenqlError(
    'QUERY_TIMEOUT',
    `the row-level security of table ${name} waited too long for a lock`,
    { hint: 'try again later', cause },
  )
}
