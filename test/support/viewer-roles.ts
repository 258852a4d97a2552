import type { TestLog } from './log.js'

/** Roles of one test alone, because roles belong to the whole cluster. */
export interface TestRoles {
  readonly user: string
  readonly anonymous: string
  /** The login is not a member of it. */
  readonly stranger: string
  readonly superuser: string
  readonly exempt: string
  drop(): Promise<void>
}

/** Creates roles of which the login of `log` is a member, except for the stranger. */
export async function createRoles(log: TestLog): Promise<TestRoles> {
  const { name, query } = log.database
  const role = (suffix: string) => `${name}_${suffix}`
  const roles = {
    user: role('user'),
    anonymous: role('anon'),
    stranger: role('stranger'),
    superuser: role('super'),
    exempt: role('exempt'),
  }
  const { user, anonymous, stranger, superuser, exempt } = roles
  await query(`create role ${user}; create role ${anonymous}; create role ${stranger};
    create role ${superuser} superuser; create role ${exempt} bypassrls;
    grant ${user}, ${anonymous}, ${superuser}, ${exempt} to ${name}`)
  return {
    ...roles,
    async drop() {
      for (const each of Object.values(roles)) {
        await query(`drop owned by ${each} cascade`)
        await query(`drop role ${each}`)
      }
    },
  }
}
