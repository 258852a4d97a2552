import pg from 'pg'
import { createDeferred } from '../lib/deferred.js'
import type { Observe } from '../lib/observation.js'
import type { Roles } from './roles.js'

export interface ConfiguredRolesOptions {
  readonly anonymousRole: string | undefined
  readonly allowed: readonly string[]
  /** Roles that channels are opened for. */
  readonly withChannels: readonly string[]
  /** The login of the server. */
  readonly login: string | undefined
  readonly roles: Pick<Roles, 'problems'>
  /** Between two looks, in ms. */
  readonly interval: number
  readonly observe: Observe
}

/** Looks whether the roles that the configuration names can be taken: a wrong one refuses viewers, and only a line per viewer at level info would tell. */
export interface ConfiguredRoles {
  /** Asks the database, if the last look is long enough ago. Rejects if it cannot say. */
  look(): Promise<void>
  /** Resolves at the first look, with what keeps viewers without a token out, and what to do about it. */
  readonly anonymous: Promise<{ readonly message: string; readonly hint: string } | undefined>
}

export function createConfiguredRoles(options: ConfiguredRolesOptions): ConfiguredRoles {
  const { anonymousRole, allowed, withChannels, login, roles, interval, observe } = options
  /** By role: the option that names it. The most important one counts. */
  const named = new Map<string, string>([
    ...withChannels.map(role => [role, '--role-channels or --role-publish'] as const),
    ...allowed.map(role => [role, '--roles'] as const),
    ...(anonymousRole === undefined ? [] : [[anonymousRole, '--anonymous-role'] as const]),
  ])
  const told = new Map<string, string>()
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
      if (performance.now() < dueAt || named.size === 0) return first.resolve()
      problems = await roles.problems([...named.keys()])
      dueAt = performance.now() + interval
      first.resolve()
      for (const [role, option] of named) {
        const message = problems.get(role)
        if (message === told.get(role)) continue
        if (message === undefined) told.delete(role)
        else told.set(role, message)
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
