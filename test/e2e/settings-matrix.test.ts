import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { installCommand } from '../../src/commands/install.js'
import { statusCommand } from '../../src/commands/status.js'
import { watchCommand } from '../../src/commands/watch.js'
import { readMigrations } from '../../src/log/migration-files.js'
import { connectionOptions } from '../../src/postgres/conninfo.js'
import { commandStreams } from '../support/command.js'
import { createLive, nextChange } from '../support/live.js'
import { createLog, type TestLog } from '../support/log.js'

let log: TestLog
beforeEach(async () => {
  log = await createLog({ migrated: false })
})
afterEach(() => log.close())

const config = () => connectionOptions(log.database.url)
const target = () => ({ config: config(), serverLogin: undefined })
async function run(command: (io: ReturnType<typeof commandStreams>) => Promise<number>): Promise<string> {
  const io = commandStreams()
  expect([await command(io), io.err()]).toEqual([0, ''])
  return io.out()
}

/** Settings of the database, and what they require. */
interface Case {
  readonly settings: Readonly<Record<string, string>>
  /** Run as superuser first. */
  readonly before?: string
  /** First version of Postgres that has them. */
  readonly since?: number
  readonly until?: number
  /** Minor releases of before may lack them. */
  readonly isRecent?: true
}

const EVIL = `create schema evil; grant usage on schema evil to public;
  create table evil.pg_class (oid oid, relname text); create table evil.pg_proc (oid oid); create table evil.pg_namespace (oid oid);
  create table evil.pg_trigger (oid oid); create table evil.pg_attribute (attname text); create table evil.pg_inherits (inhrelid oid);
  create table evil.pg_type (oid oid); create table evil.pg_database (oid oid); create table evil.pg_index (indexrelid oid);
  create table evil.pg_stat_activity (pid int); create table evil.pg_subscription_rel (srrelid oid);
  create function evil.fail() returns int language plpgsql as $$ begin raise 'the wrong function was called'; end $$;
  create function evil.to_regclass(text) returns regclass language sql as 'select evil.fail()::oid::regclass';
  create function evil.format(text, variadic text[]) returns text language sql as 'select evil.fail()::text';
  create function evil.current_database() returns name language sql as 'select evil.fail()::text::name';
  create function evil.pg_is_in_recovery() returns bool language sql as 'select evil.fail() = 1';
  create function evil.clock_timestamp() returns timestamptz language sql as 'select now() + make_interval(secs => evil.fail())';
  create function evil.has_function_privilege(oid, text) returns bool language sql as 'select evil.fail() = 1';
  create function evil.has_schema_privilege(oid, text) returns bool language sql as 'select evil.fail() = 1';
  create function evil.has_table_privilege(oid, text) returns bool language sql as 'select evil.fail() = 1';
  create function evil.pg_notify(text, text) returns void language sql as 'select evil.fail()';
  create function evil.not_equal(text, text) returns bool language sql as 'select evil.fail() = 1';
  grant select on all tables in schema evil to public`

const CASES: Readonly<Record<string, Case>> = {
  'formats: SQL': {
    settings: {
      DateStyle: 'SQL, DMY',
      IntervalStyle: 'sql_standard',
      TimeZone: 'Asia/Kolkata',
      extra_float_digits: '-15',
      bytea_output: 'escape',
    },
  },
  'formats: German': {
    settings: {
      DateStyle: 'German',
      IntervalStyle: 'postgres_verbose',
      TimeZone: 'America/New_York',
      quote_all_identifiers: 'on',
    },
  },
  'formats: Postgres': {
    settings: {
      DateStyle: 'Postgres, MDY',
      xmlbinary: 'hex',
      lc_monetary: 'POSIX',
      lc_numeric: 'POSIX',
      lc_time: 'POSIX',
    },
  },
  text: {
    settings: {
      standard_conforming_strings: 'off',
      backslash_quote: 'off',
      escape_string_warning: 'on',
      transform_null_equals: 'on',
      array_nulls: 'off',
      client_encoding: 'LATIN1',
    },
    until: 190000,
  },
  'plpgsql: errors': {
    settings: {
      'plpgsql.extra_errors': 'all',
      'plpgsql.extra_warnings': 'all',
      'plpgsql.print_strict_params': 'on',
    },
  },
  'plpgsql: columns': {
    settings: { 'plpgsql.variable_conflict': 'use_column', check_function_bodies: 'off' },
  },
  'plpgsql: variables': {
    settings: { 'plpgsql.variable_conflict': 'use_variable', check_function_bodies: 'on' },
  },
  'storage: an access method': {
    settings: { default_table_access_method: 'other' },
    before: 'create access method other type table handler heap_tableam_handler',
  },
  'storage: a tablespace where no table can be': {
    settings: { default_tablespace: 'pg_global', temp_tablespaces: 'pg_default' },
  },
  transactions: {
    settings: {
      default_transaction_isolation: 'serializable',
      default_transaction_read_only: 'on',
      default_transaction_deferrable: 'on',
    },
  },
  timeouts: {
    // More than a busy machine needs for BEGIN, and for the ROLLBACK after an error, before which Postgres
    // reverts to these.
    settings: {
      statement_timeout: '100ms',
      lock_timeout: '1ms',
      idle_in_transaction_session_timeout: '100ms',
    },
  },
  'timeouts of 14': {
    settings: { idle_session_timeout: '100ms', client_connection_check_interval: '100ms' },
    since: 140000,
  },
  'timeouts of 17': { settings: { transaction_timeout: '100ms' }, since: 170000 },
  'relations: no views': {
    settings: { restrict_nonsystem_relation_kind: 'view, foreign-table' },
    isRecent: true,
  },
  'names: none': { settings: { search_path: '' } },
  'names: others first': { settings: { search_path: 'evil, pg_catalog, public' }, before: EVIL },
  planner: {
    settings: {
      jit: 'on',
      jit_above_cost: '0',
      jit_inline_above_cost: '0',
      jit_optimize_above_cost: '0',
      plan_cache_mode: 'force_custom_plan',
      enable_seqscan: 'off',
      enable_hashjoin: 'off',
      enable_mergejoin: 'off',
      enable_sort: 'off',
      join_collapse_limit: '1',
      from_collapse_limit: '1',
      geqo_threshold: '2',
      work_mem: '64kB',
      constraint_exclusion: 'on',
    },
  },
  'planner: no indexes': {
    settings: {
      enable_indexscan: 'off',
      enable_indexonlyscan: 'off',
      enable_bitmapscan: 'off',
      enable_nestloop: 'off',
      plan_cache_mode: 'force_generic_plan',
    },
  },
  'planner: parallel': {
    settings: {
      force_parallel_mode: 'on',
      parallel_setup_cost: '0',
      parallel_tuple_cost: '0',
      min_parallel_table_scan_size: '0',
      parallel_leader_participation: 'off',
    },
    until: 160000,
  },
  'planner: parallel, from 16 on': {
    settings: {
      debug_parallel_query: 'on',
      parallel_setup_cost: '0',
      parallel_tuple_cost: '0',
      min_parallel_table_scan_size: '0',
      parallel_leader_participation: 'off',
    },
    since: 160000,
  },
  rights: {
    settings: { row_security: 'off', session_replication_role: 'local', lo_compat_privileges: 'on' },
  },
  messages: {
    settings: {
      client_min_messages: 'debug1',
      log_min_messages: 'panic',
      log_statement: 'all',
      track_activities: 'off',
      synchronous_commit: 'off',
      application_name: 'mine',
    },
  },
}

async function version(): Promise<number> {
  return Number((await log.database.query('show server_version_num'))[0]?.server_version_num)
}

const ROWS = `subscription ($after: String) { tChanged(after: $after) { operation row { id at day took amount price bytes note tags m x } } }`
const ROW = {
  id: 1,
  at: '2024-03-05T06:07:08.123456+00:00',
  day: '2024-03-05',
  took: 'P1DT2H',
  amount: 0.1,
  price: '12.50',
  bytes: '3q0=',
  note: "it's \\n",
  tags: ['a', null],
  m: 'sad',
  x: '[1,5)',
}
const VALUES = `timestamptz '2024-03-05 06:07:08.123456+00', date '2024-03-05', interval '1 day 2 hours', 0.1::float8, 12.50, decode('dead', 'hex'), $1::text, array['a', null], 'sad'::public.mood, int4range(1, 5)`

describe.each(Object.entries(CASES))(
  'with settings of the database: %s',
  (_name, { settings, before, since = 0, until = 999_999, isRecent = false }) => {
    it('the server installs, watches, logs, streams, reads snapshots, resumes and reports the status', async () => {
      const server = await version()
      const [name = ''] = Object.keys(settings)
      const [known] = await log.database.query('select current_setting($1, true) is not null as known', [
        name,
      ])
      if (server < since || server >= until || (isRecent && !known?.known)) {
        // Postgres answers that it has no such setting, or that only this value is allowed.
        return expect(log.database.query(`set ${name} = 'nonsense'`)).rejects.toThrow()
      }
      await log.database.query(`create type mood as enum ('sad'); create table t (id int primary key, at timestamptz, day date, took interval, amount float8, price numeric,
      bytes bytea, note text, tags text[], m mood, x int4range); alter table t owner to ${log.database.name}; alter type mood owner to ${log.database.name};
      grant create on schema public to ${log.database.name}; ${before ?? ''}`)
      for (const [name, value] of Object.entries(settings)) {
        await log.database.query(
          `alter database ${log.database.name} set ${name} = ${name === 'search_path' || name === 'temp_tablespaces' ? value || `''` : `'${value}'`}`,
        )
      }
      // A writer that has these settings, but no timeouts.
      const writer = await log.connect()
      await writer.query(
        'set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0; set default_transaction_read_only = off',
      )
      if (server >= 170000) await writer.query('set transaction_timeout = 0')
      if (server >= 140000) await writer.query('set idle_session_timeout = 0')

      expect(await run(io => installCommand(target(), { grantTo: undefined }, io))).toContain(
        `(version ${readMigrations().length})`,
      )
      expect(
        await run(io =>
          watchCommand(
            target(),
            { tables: ['public.t'], always: false, grantTo: undefined, patience: 5000 },
            io,
          ),
        ),
      ).toContain('is watched')
      const live = await createLive(log)
      try {
        await live.ready('{ t { cursor } }')
        const start = await live.cursor('t')
        const stream = await live.subscribe(ROWS)
        await writer.query(`insert into public.t values (1, ${VALUES})`, [ROW.note])
        expect(await nextChange(stream)).toEqual({ operation: 'INSERT', row: ROW })
        await writer.query(`begin; update public.t set note = 'x' where id = 1; delete from public.t; commit`)
        expect(await nextChange(stream)).toMatchObject({ operation: 'UPDATE', row: { note: 'x' } })
        expect(await nextChange(stream)).toMatchObject({ operation: 'DELETE' })
        const late = await live.subscribe(ROWS, { after: start })
        expect(await nextChange(late)).toEqual({ operation: 'INSERT', row: ROW })
        await writer.query(`insert into public.t values (1, ${VALUES})`, [ROW.note])
        const found =
          await live.ready(`{ t(where: {at: {lt: "2025-01-01T00:00:00Z"}, note: {like: "it's%"}, m: {eq: sad}, took: {isNull: false}, x: {eq: "[1,5)"}}, orderBy: [{at: DESC}]) {
        rows { id at day took amount price bytes note tags m x } } }`)
        expect(found).toEqual({ t: { rows: [ROW] } })
        await writer.query('alter table public.t add column later int default 5')
        await live.ready('{ t { rows { later } } }')
        const status = await run(io =>
          statusCommand(target(), { retention: 86_400_000, maxLogSize: undefined }, { json: false }, io),
        )
        expect(status).toMatch(/t +\| 20\d\d-/)
        expect(status).not.toContain('\n!')
        await stream.close()
        await late.close()
      } finally {
        await live.close()
      }
    })
  },
)
