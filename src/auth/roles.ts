import { messageOf } from '../lib/errors.js'
import { forbiddenRole, unavailable } from './errors.js'
import type { RoleFacts } from './viewer-queries.js'

export interface RolesOptions {
  readonly read: (names: readonly string[]) => Promise<readonly RoleFacts[]>
  /** The only roles that viewers may use; empty: see `--roles`. */
  readonly allowed: readonly string[]
  /** How long an answer of the database is cached, in ms. */
  readonly maxAge: number
}

/** Which roles viewers may use. */
export interface Roles {
  /** @throws ListenqlError FORBIDDEN; AUTHENTICATION_UNAVAILABLE if the database fails and there is no cached answer */
  assertMayTake(role: string): Promise<void>
  /**
   * Queries again. Rejects if the database fails; cached answers stay.
   * @returns the roles that viewers may not use, with the reasons
   */
  problems(roles: readonly string[]): Promise<ReadonlyMap<string, string>>
}

/** Most roles that are cached. */
const MAX_KNOWN_ROLES = 1000

export function createRoles({ read, allowed, maxAge }: RolesOptions): Roles {
  const known = new Map<string, { readonly problem: string | undefined; readonly until: number }>()

  async function ask(names: readonly string[]): Promise<void> {
    const facts = new Map((await read(names)).map(each => [each.role, each]))
    for (const name of names) {
      const problem = problemOf(name, facts.get(name))
      // A role that is refused is likely to be granted soon.
      const until = performance.now() + (problem === undefined ? maxAge : maxAge / 5)
      known.delete(name)
      known.set(name, { problem, until })
    }
    for (const oldest of known.keys()) {
      if (known.size <= MAX_KNOWN_ROLES) break
      known.delete(oldest)
    }
  }

  function problemOf(name: string, facts: RoleFacts | undefined): string | undefined {
    if (allowed.length > 0 && !allowed.includes(name)) return `role ${name} is not among --roles`
    if (!facts) return `there is no role ${name}`
    const isListed = allowed.includes(name)
    if (facts.isLogin)
      return isListed ? undefined : `role ${name} is the server's own login, and not in --roles`
    if (!facts.isMember) return `the login of the server is not a member of role ${name}: ${facts.grant}`
    if (facts.isExempt && !isListed)
      return `role ${name} is exempt from row-level security, and not in --roles`
    return undefined
  }

  return {
    async assertMayTake(role) {
      const before = known.get(role)
      if (!before || before.until < performance.now()) {
        try {
          await ask([role])
        } catch (error) {
          // While the database is down, nothing can be read under the role either.
          if (!before)
            throw unavailable(`the database cannot be queried about role ${role}: ${messageOf(error)}`)
        }
      }
      const problem = known.get(role)?.problem
      if (problem !== undefined) throw forbiddenRole(problem)
    },
    async problems(names) {
      if (names.length > 0) await ask(names)
      return new Map(
        names.flatMap(name => {
          const problem = known.get(name)?.problem
          return problem === undefined ? [] : [[name, problem]]
        }),
      )
    },
  }
}
