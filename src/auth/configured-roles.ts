import pg from 'pg'
import { createDeferred } from '../lib/deferred.js'
import type { Observe } from '../lib/observation.js'
import type { Roles } from './roles.js'

export interface ConfiguredRolesOptions {
  readonly anonymousRole: string | undefined
  readonly allowed: readonly string[]
  /** Returns the roles that have channels of their own. A reload may change them. */
  readonly withChannels: () => readonly string[]
  /** The login of the server. */
  readonly login: string | undefined
  readonly roles: Pick<Roles, 'problems'>
  /** Time between two checks, in ms. */
  readonly interval: number
  readonly observe: Observe
}

/**
 * Checks whether the roles that the configuration names can be used: a wrong one refuses viewers, and the only other trace of
 * that is a line per viewer at level info.
 */
export interface ConfiguredRoles {
  /** Checks with the database, if the last check is old enough. Rejects if the database fails. */
  look(): Promise<void>
  /** Resolves at the first check: the reason why viewers without a token are refused, and a remedy; undefined if they are not. */
  readonly anonymous: Promise<{ readonly message: string; readonly hint: string } | undefined>
}

export function createConfiguredRoles(options: ConfiguredRolesOptions): ConfiguredRoles {
  const { anonymousRole, allowed, withChannels, login, roles, interval, observe } = options
  /** By role: the option that names it; if several do, the most important one. */
  const namedNow = () =>
    new Map<string, string>([
      ...withChannels().map(role => [role, '--role-channels or --role-publish'] as const),
      ...allowed.map(role => [role, '--roles'] as const),
      ...(anonymousRole === undefined ? [] : [[anonymousRole, '--anonymous-role'] as const]),
    ])
  const reported = new Map<string, string>()
  const first = createDeferred()
  let problems: ReadonlyMap<string, string> = new Map()
  let dueAt = Number.NEGATIVE_INFINITY

  function hintFor(role: string): string {
    const name = pg.escapeIdentifier(role)
    const grant = `grant ${name} to ${login === undefined ? 'LOGIN' : pg.escapeIdentifier(login)}`
    const problem = problems.get(role) ?? ''
    if (problem.includes('there is no role'))
      return `as an administrator: create role ${name} nologin; ${grant};`
    return problem.includes('not a member')
      ? `as an administrator: ${grant};`
      : 'list it there, or name another role'
  }

  return {
    async look() {
      const named = namedNow()
      if (performance.now() < dueAt || named.size === 0) return first.resolve()
      problems = await roles.problems([...named.keys()])
      dueAt = performance.now() + interval
      first.resolve()
      for (const [role, option] of named) {
        const message = problems.get(role)
        if (message === reported.get(role)) continue
        if (message === undefined) reported.delete(role)
        else reported.set(role, message)
        if (message === undefined) observe({ type: 'role.usable', role, option })
        else observe({ type: 'role.unusable', role, option, message, hint: hintFor(role) })
      }
    },
    anonymous: first.promise.then(() => {
      const message = anonymousRole === undefined ? undefined : problems.get(anonymousRole)
      return message === undefined ? undefined : { message, hint: hintFor(anonymousRole as string) }
    }),
  }
}
