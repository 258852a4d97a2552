import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ANONYMOUS } from '../../src/auth/viewer.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { createTableAccess, type TableAccess } from '../../src/rls/table-access.js'
import { createObserved } from '../support/observed.js'
import { createViewerRoles, type ViewerRoles, viewerOf } from '../support/viewers.js'
import { createWatchedLog, type WatchedLog } from '../support/watched-log.js'

let watched: WatchedLog
let roles: ViewerRoles
let role: string
let table: WatchedTable
let access: TableAccess
const observed = createObserved()

beforeAll(async () => {
  watched = await createWatchedLog()
  roles = createViewerRoles(watched)
  role = await roles.add('reader')
})
afterAll(async () => {
  await roles.close()
  await watched.close()
})
beforeEach(async () => {
  table = await watched.table('id int primary key, name text, salary int', 'staff')
  access = createTableAccess({
    config: watched.server.config,
    connectTimeout: 5000,
    reconnectMax: 100,
    catalogInterval: 20,
    observe: observed.observe,
  })
  access.start()
})
afterEach(() => access.close())

const admin = (sql: string) => watched.log.database.query(sql)
const claim = (...columns: string[]) => ({ viewer: viewerOf(role), table, columns, seesAll: true })

/** Resolves with the code and message of the error when a held requirement is lost. */
const lost = (...columns: string[]) =>
  new Promise<string>(resolve =>
    access.hold(claim(...columns), error => resolve(`${error.code}: ${error.message}`)),
  )

describe('a read requirement', () => {
  it('is refused with an error that names the first column that the role may not read', async () => {
    await expect(access.assert(claim())).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: `role ${role} may not read table staff`,
    })
    await admin(`grant select (id, name) on staff to ${role}`)
    expect(await access.assert(claim('id', 'name'))).toMatchObject({ columns: ['id', 'name'] })
    await expect(access.assert(claim('id', 'salary', 'name'))).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: `role ${role} may not read column salary of table staff`,
    })
    await expect(access.rightsOf('nobody', table)).rejects.toMatchObject({ code: 'FORBIDDEN' })
    expect(await access.assert({ ...claim('salary'), viewer: ANONYMOUS })).toBeUndefined()
  })

  it('is checked again when it is held, because the privileges may have changed in between', async () => {
    await admin(`grant select on staff to ${role}`)
    expect(await access.assert(claim('name'))).toMatchObject({ hasRowSecurity: false })
    await admin(`revoke select (name), select on staff from ${role}`)
    await expect
      .poll(() =>
        access.rightsOf(role, table).then(
          () => 'allowed',
          error => error.code,
        ),
      )
      .toBe('FORBIDDEN')
    expect(await lost('name')).toBe(`FORBIDDEN: role ${role} may not read table staff`)
  })
})

describe('a held read requirement', () => {
  it.each([
    [
      'the column',
      `revoke select (name) on staff from ROLE`,
      'FORBIDDEN: role ROLE may not read column name of table staff',
    ],
    [
      'the table',
      `revoke select (id, name) on staff from ROLE`,
      'FORBIDDEN: role ROLE may not read table staff',
    ],
    [
      'the schema',
      `revoke usage on schema public from public`,
      'FORBIDDEN: role ROLE may not read table staff',
    ],
    ['the membership', `revoke ROLE from SERVER`, 'FORBIDDEN: the role of this token may not be used here'],
    [
      'all rows',
      `alter table staff enable row level security`,
      'SCHEMA_CHANGED: row-level security now applies to the rows of table staff',
    ],
    ['the table itself', `drop table staff`, 'SCHEMA_CHANGED: table staff was altered or no longer exists'],
  ])('ends with the loss of %s', async (_what, sql, message) => {
    const named = (text: string) => text.replaceAll('ROLE', role).replaceAll('SERVER', watched.server.name)
    await admin(`grant select (id, name) on staff to ${role}`)
    await access.assert(claim('id', 'name'))
    const end = lost('id', 'name')
    let isKept = true
    access.hold({ ...claim(), viewer: ANONYMOUS }, () => {
      isKept = false
    })
    const leave = access.hold(claim('id', 'name'), () => {
      isKept = false
    })
    leave.stop()
    await admin(named(sql))
    expect(await end).toBe(named(message))
    expect(isKept).toBe(true)
    await admin(`grant usage on schema public to public; grant ${role} to ${watched.server.name}`)
  })

  it('is kept through an outage', async () => {
    await admin(`grant select on staff to ${role}`)
    await access.assert(claim('id'))
    const end = lost('id')
    await admin(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'listenql rights'`,
    )
    await admin(`revoke select on staff from ${role}`)
    expect(await end).toBe(`FORBIDDEN: role ${role} may not read table staff`)
  })
})
