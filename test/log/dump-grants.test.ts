import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { installCommand, printInstallCommand } from '../../src/commands/install.js'
import { watchCommand } from '../../src/commands/watch.js'
import { connectionOptions } from '../../src/postgres/conninfo.js'
import { commandStreams } from '../support/command.js'
import { canDump, dump, restore } from '../support/dump.js'
import { createLog, type TestLog } from '../support/log.js'

let log: TestLog
let isPossible: boolean
/** The owner of the database and its tables; not a superuser. */
let owner: string
beforeAll(async () => {
  log = await createLog({ migrated: false })
  owner = log.database.name
  const [row] = await log.database.query(`select current_setting('server_version_num')::int as version`)
  isPossible = canDump(Number(row?.version))
  await log.query(
    `create table people (pk int primary key, name text); create table orders (id int primary key); insert into people values (1, 'a')`,
  )
})
afterAll(() => log.close())

const asSuperuser = () => ({ config: connectionOptions(log.database.adminUrl), serverLogin: undefined })
async function watch(...tables: string[]) {
  const io = commandStreams()
  const argv = { tables, always: false, grantTo: undefined, patience: 1000 }
  expect(await watchCommand(asSuperuser(), argv, io)).toBe(0)
  return io.err()
}
async function install(more: { grantDumpTo?: string } = {}) {
  const io = commandStreams()
  expect(await installCommand(asSuperuser(), { grantTo: undefined, ...more }, io)).toBe(0)
  return io.err()
}

describe('a dump by the owner of the tables, if a superuser installed the log', () => {
  it('lacks a grant that install and watch report once', async () => {
    const note = `-- pg_dump of this database fails for role ${owner}, which may not read schema listenql; to allow it, which also lets the role read the logged rows of all tables, run as the owner of that schema: listenql install --grant-dump-to ${owner}; or dump without that schema: pg_dump --exclude-schema listenql\n`
    expect(await install()).toBe(note)
    expect(await watch('people', 'orders')).toBe(note)
    if (isPossible)
      expect(() => dump(log.database.url)).toThrow(/permission denied for (schema listenql|table|sequence)/)
  })

  it('works with the grant, including tables that were added later, and can be restored', async () => {
    expect(await install({ grantDumpTo: owner })).toBe('')
    expect(await watch('people')).toBe('')
    await log.database.query(
      'create table listenql.of_a_later_version (x int); create sequence listenql.of_another',
    )
    expect(await install()).toBe('')
    if (!isPossible) return
    const script = dump(log.database.url)
    const target = await createLog({ migrated: false })
    try {
      expect(restore(target.database.adminUrl, script)).toEqual([])
      await target.database.query(`insert into people values (2, 'b')`)
      expect(await target.database.query('select name from people order by pk')).toEqual([
        { name: 'a' },
        { name: 'b' },
      ])
    } finally {
      await target.close()
    }
  })

  it('needs no grant if the owner installed the log, or is a superuser', async () => {
    const other = await createLog({ migrated: false })
    try {
      const io = commandStreams()
      const argv = { grantTo: undefined }
      await installCommand(
        { config: connectionOptions(other.database.url), serverLogin: undefined },
        argv,
        io,
      )
      expect(io.err()).toBe('')
      if (isPossible) expect(dump(other.database.url)).toContain('CREATE SCHEMA listenql')
    } finally {
      await other.close()
    }
  })

  it('is granted by the printed script, to roles of any name', async () => {
    const role = `${owner} it's`
    const io = commandStreams()
    printInstallCommand({ grantTo: undefined, grantDumpTo: role, from: undefined }, io)
    const other = await createLog({ migrated: false })
    await other.database.query(`create role ${pg.escapeIdentifier(role)}`)
    try {
      await other.query(io.out())
      const [row] = await other.database.query(
        `select has_table_privilege($1, 'listenql.event_0', 'select') and has_sequence_privilege($1, 'listenql.head', 'select') as may`,
        [role],
      )
      expect(row).toEqual({ may: true })
    } finally {
      await other.database.query(
        `drop owned by ${pg.escapeIdentifier(role)}; drop role ${pg.escapeIdentifier(role)}`,
      )
      await other.close()
    }
  })

  it('cannot be granted to a role that does not exist', async () => {
    await expect(install({ grantDumpTo: 'nobody_of_that_name' })).rejects.toMatchObject({
      message: 'there is no role nobody_of_that_name',
    })
  })
})
