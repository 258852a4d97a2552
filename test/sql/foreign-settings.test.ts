import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { installCommand } from '../../src/commands/install.js'
import { statusWarnings } from '../../src/commands/status-warnings.js'
import { watchCommand } from '../../src/commands/watch.js'
import { printInstallSql } from '../../src/log/install.js'
import { readLogStatus } from '../../src/log/log-status.js'
import { connectionOptions } from '../../src/postgres/conninfo.js'
import { commandStreams } from '../support/command.js'
import { createLog, lines, type TestLog } from '../support/log.js'

let log: TestLog
beforeEach(async () => {
  log = await createLog({ migrated: false })
  await log.query('create table t (id int primary key, v text)')
})
afterEach(() => log.close())

const target = () => ({ config: connectionOptions(log.database.url), serverLogin: undefined })
async function watch(...tables: string[]) {
  const io = commandStreams()
  const argv = { tables, always: false, grantTo: undefined, patience: 1000 }
  const code = await watchCommand(target(), argv, io)
  return { code, err: io.err() }
}
const set = async (settings: Readonly<Record<string, string>>) => {
  for (const [name, value] of Object.entries(settings))
    await log.database.query(
      `alter role ${log.database.name} in database ${log.database.name} set ${name} = '${value}'`,
    )
}

describe('a DBA who runs the printed script and watches tables by SQL', () => {
  it.each([
    ['escapes in string literals', { standard_conforming_strings: 'off', escape_string_warning: 'off' }],
    ['strict plpgsql checks', { 'plpgsql.extra_errors': 'all', 'plpgsql.variable_conflict': 'error' }],
    ['a default tablespace that takes no tables', { default_tablespace: 'pg_global' }],
    ['serializable transactions', { default_transaction_isolation: 'serializable' }],
  ])('succeeds under settings of the login: %s', async (_what, settings) => {
    await set(settings)
    const client = await log.connect()
    await client.query(printInstallSql())
    await client.query(`select listenql.watch('t')`)
    await client.query('begin isolation level read committed; select * from listenql.refresh(); commit')
    const { rows } = await client.query('select n, token from listenql.newest()')
    await client.query(`insert into t values (1, 'a\\b')`)
    const start = { n: Number(rows[0].n), token: Number(rows[0].token), ord: 2147483647, statement: 0, id: 0 }
    await log.database.query(`alter role ${log.database.name} in database ${log.database.name} reset all`)
    const other = await log.connect()
    const read = await other.query(
      'select operation, new from listenql.pull($1, $2, $3, $4, $5, 10)',
      Object.values(start),
    )
    expect(read.rows).toMatchObject([{ operation: 'I' }])
  })
})

describe('event triggers of the application', () => {
  const forbid = (tag: string) =>
    log.database.query(`create function forbid() returns event_trigger language plpgsql as $$ begin raise 'no % here', tg_tag; end $$;
      create event trigger forbid on ddl_command_end when tag in ('${tag}') execute function forbid()`)
  const allow = () => log.database.query('drop event trigger forbid; drop function forbid()')

  it.each(['CREATE TABLE', 'CREATE FUNCTION', 'CREATE SEQUENCE'])(
    'that forbid %s prevent the installation, which leaves nothing behind',
    async tag => {
      await forbid(tag)
      await expect(installCommand(target(), { grantTo: undefined }, commandStreams())).rejects.toMatchObject({
        code: 'DATABASE_FAILED',
        message: expect.stringContaining(`failed: no ${tag} here`),
      })
      await allow()
      expect(await watch('t')).toEqual({ code: 0, err: '' })
    },
  )

  it('that forbid triggers are reported by watch, and by every refresh while they exist', async () => {
    expect((await watch()).code).toBe(0)
    await forbid('CREATE TRIGGER')
    const { code, err } = await watch('t')
    expect([code, err]).toEqual([1, expect.stringContaining('no CREATE TRIGGER here')])
    await allow()
    await log.query('create table p (id int primary key) partition by range (id)')
    expect((await watch('t', 'p')).code).toBe(0)
    await forbid('CREATE TRIGGER')
    await log.query('create table p1 partition of p for values from (0) to (10)')
    expect((await log.refresh()).filter(({ change }) => change === 'lacking')).toMatchObject([
      { table_name: 'p', detail: expect.stringContaining('no CREATE TRIGGER here') },
    ])
    await allow()
    expect((await log.refresh()).map(({ change }) => change)).toEqual(['generation'])
    const start = await log.newest()
    await log.query('insert into p1 values (1)')
    expect(lines(await log.pull(start))).toEqual(['I {"id":1}'])
  })

  it('that rename new objects prevent the installation, which leaves no half-installed log', async () => {
    await log.database.query(`create function prefix() returns event_trigger language plpgsql as $$
      declare c record; begin
        for c in select * from pg_event_trigger_ddl_commands() where object_type = 'table' loop
          execute format('alter table %s rename to %I', c.objid::regclass, 'x_' || (select relname from pg_class where oid = c.objid));
        end loop; end $$;
      create event trigger prefix on ddl_command_end when tag in ('CREATE TABLE') execute function prefix()`)
    await expect(installCommand(target(), { grantTo: undefined }, commandStreams())).rejects.toMatchObject({
      code: 'DATABASE_FAILED',
    })
    expect(await log.query(`select to_regnamespace('listenql') as schema`)).toEqual([{ schema: null }])
    await log.database.query('drop event trigger prefix; drop function prefix()')
  })
})

describe('logins whose triggers do not fire', () => {
  it('are listed by status with the remedy', async () => {
    await watch('t')
    const warnings = async () => {
      const status = await readLogStatus(await log.connect())
      return status
        ? statusWarnings(status, { retention: 86_400_000, maxLogSize: undefined, knows: status.version })
        : []
    }
    expect(await warnings()).toEqual([])
    await log.database.query(
      `alter role ${log.database.name} in database ${log.database.name} set session_replication_role = 'replica'`,
    )
    expect(await warnings()).toEqual([
      `Writes of ${log.database.name} are not logged: their sessions have session_replication_role = replica, so that triggers do not fire; listenql watch --always t`,
    ])
  })
})
