import { expect } from 'vitest'
import type { DATABASE_METRICS } from '../../../src/telemetry/metrics/database-metrics.js'
import { breakLog } from '../../support/faulty-log.js'
import { query } from '../../support/graphql-request.js'
import { readValue } from '../../support/metrics.js'
import { post } from '../../support/raw.js'
import { sign } from '../../support/tokens.js'
import { waitUntil } from '../../support/wait.js'
import { addPerson, type Move, type World } from './world.js'

/** Nothing listens there. */
const NOWHERE = { databaseUrl: 'postgres://nobody@127.0.0.1:1/nothing', connectTimeout: 500 }
const ROWS = '{ people { rows { pk } } }'

/** Lets the server of the other options dispatch events, and this one not: it reads the log once in an hour. */
const SLEEPY = { doorbell: 'poll', poll: 3_600_000, channels: [] } as const

const terminate = ({ log }: World, application: string) =>
  log.database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and datname = current_database()`,
    [application],
  )

/** Queries rows, which a metric notices. */
const atQuery =
  (name: keyof typeof DATABASE_METRICS): Move =>
  async world => {
    const { url } = await world.server()
    await addPerson(world)
    await world.moves(name, () => query(url, ROWS), { labels: { purpose: 'query' } })
  }

/** A table whose policies read a claim as a number. */
async function withPolicies(world: World): Promise<void> {
  const { user } = world.roles
  await world.log.query(`create table if not exists docs (id serial primary key, owner int);
    alter table docs enable row level security; drop policy if exists mine on docs;
    create policy mine on docs using (owner = (current_setting('request.jwt.claims')::json ->> 'n')::int);
    grant select on docs to ${user}; grant usage on schema public to ${user}`)
  await world.log.watch('docs')
}

/** Follows the table under its policies, and writes to it. @param n the claim that the policies read */
const atSecuredChange = async (world: World, name: keyof typeof DATABASE_METRICS, n: string) => {
  await withPolicies(world)
  const server = await world.secured()
  const token = await sign({ role: world.roles.user, n })
  const answer = () =>
    post(server.url, { query: '{ docs { cursor } }' }, { authorization: `Bearer ${token}` })
  await waitUntil(async () => !(await answer()).body.includes('Cannot query field'), 'the table')
  await world.subscribe('subscription { docsChanged { row { id } } }', server, { token })
  await world.moves(name, () => world.log.query('insert into docs (owner) values (1)'), {
    server,
    labels: { table: 'docs' },
  })
}

export const DATABASE_MOVES: Record<keyof typeof DATABASE_METRICS, Move> = {
  async listenql_ready(world) {
    const away = await world.server(NOWHERE)
    const labels = { part: 'database' }
    expect(await readValue(away, 'listenql_ready', labels)).toBe(0)
    expect(await readValue(await world.server(), 'listenql_ready', labels)).toBe(1)
    expect(await readValue(away, 'listenql_ready', { part: 'server' })).toBe(1)
  },
  async listenql_delivery_lag_seconds(world) {
    const server = await world.server(SLEEPY)
    await world.moves('listenql_delivery_lag_seconds', () => addPerson(world), { server })
  },
  async listenql_delivery_lag_events(world) {
    const server = await world.server(SLEEPY)
    await world.moves('listenql_delivery_lag_events', () => addPerson(world), { server })
  },
  async listenql_log_bytes(world) {
    await world.moves('listenql_log_bytes', () =>
      world.log.query(`insert into people (name) select repeat('x', 1000) from generate_series(1, 1000)`),
    )
  },
  async listenql_log_limit_bytes(world) {
    const server = await world.server({ maxLogSize: 2 ** 30 })
    expect(await readValue(server, 'listenql_log_limit_bytes')).toBe(2 ** 30)
    expect(await readValue(await world.server(), 'listenql_log_limit_bytes')).toBeUndefined()
  },
  async listenql_log_oldest_event_age_seconds(world) {
    await addPerson(world)
    await world.moves('listenql_log_oldest_event_age_seconds', async () => undefined)
  },
  async listenql_log_retention_seconds(world) {
    const server = await world.server({ retention: 7_200_000 })
    expect(await readValue(server, 'listenql_log_retention_seconds')).toBe(7200)
    expect(await readValue(await world.server(), 'listenql_log_retention_seconds')).toBe(86_400)
  },
  async listenql_log_cleared_bytes_total(world) {
    const { log, server } = await world.elsewhere({ retention: 8000, maxLogSize: 2 ** 20 })
    await world.moves(
      'listenql_log_cleared_bytes_total',
      () =>
        log.query(
          `insert into people (name) select (select string_agg(md5(g::text || i), '') from generate_series(1, 16) i) from generate_series(1, 5000) g`,
        ),
      { server },
    )
  },
  async listenql_log_stalls_total(world) {
    const { log, server } = await world.elsewhere()
    await breakLog(log, { event: 'true', statement: `~ 'old'`, code: '58030', message: 'a broken disk' })
    await world.moves('listenql_log_stalls_total', () => addPerson({ log }), { server })
  },
  async listenql_reconnects_total(world) {
    await world.moves('listenql_reconnects_total', () => terminate(world, 'listenql listen'), {
      labels: { connection: 'listen' },
    })
    await world.moves('listenql_reconnects_total', () => terminate(world, 'listenql log'), {
      labels: { connection: 'log' },
    })
  },
  async listenql_database_failures_total(world) {
    const server = await world.server(NOWHERE)
    await world.moves('listenql_database_failures_total', async () => undefined, {
      server,
      labels: { part: 'listen' },
    })
    await world.moves('listenql_database_failures_total', () => terminate(world, 'listenql log'), {
      labels: { part: 'log' },
    })
  },
  listenql_policy_check_seconds: world => atSecuredChange(world, 'listenql_policy_check_seconds', '1'),
  listenql_policy_failures_total: world => atSecuredChange(world, 'listenql_policy_failures_total', 'x'),
  async listenql_snapshot_seconds(world) {
    await atQuery('listenql_snapshot_seconds')(world)
    await world.moves(
      'listenql_snapshot_seconds',
      () => world.subscribe('subscription { people(limit: 7) { rows { pk } } }'),
      {
        labels: { purpose: 'live' },
      },
    )
  },
  listenql_snapshot_rows_total: atQuery('listenql_snapshot_rows_total'),
  async listenql_snapshot_coalesced_total(world) {
    const { url } = await world.server()
    await world.moves('listenql_snapshot_coalesced_total', () =>
      Promise.all(Array.from({ length: 50 }, () => query(url, ROWS))),
    )
  },
  async listenql_snapshot_failures_total(world) {
    const { log, server } = await world.elsewhere()
    await log.query('alter function listenql.cut() rename to cut_before')
    await world.moves('listenql_snapshot_failures_total', () => post(server.url, { query: ROWS }), {
      server,
      labels: { table: 'people' },
    })
  },
  async listenql_live_queries(world) {
    await world.moves('listenql_live_queries', () =>
      world.subscribe('subscription { people(limit: 3) { rows { name } } }'),
    )
  },
  async listenql_live_results_total(world) {
    const { results } = await world.subscribe(
      'subscription { people(limit: 1, orderBy: { pk: DESC }) { rows { pk } } }',
    )
    await results.next('the first result')
    await world.moves('listenql_live_results_total', () => addPerson(world), {
      labels: { result: 'changed' },
    })
    // The first row stays the first: the one that comes is deleted before it is read.
    await world.moves(
      'listenql_live_results_total',
      () =>
        world.log.query(
          `begin; insert into people values (1e9, ''); delete from people where pk = 1e9; commit`,
        ),
      { labels: { result: 'unchanged' } },
    )
  },
  async listenql_watched_tables(world) {
    await world.moves('listenql_watched_tables', async () => {
      await world.log.query('create table another (id int primary key)')
      await world.log.watch('another')
    })
  },
  async listenql_schema_builds_total(world) {
    await world.moves('listenql_schema_builds_total', async () => {
      await world.log.query('create table built (id int primary key)')
      await world.log.watch('built')
    })
  },
  async listenql_catalog_changes_total(world) {
    // Of several servers on a database, the one that notices a change first counts it.
    const { log, server } = await world.elsewhere()
    await world.moves(
      'listenql_catalog_changes_total',
      () => log.query('alter table people add column age int'),
      { server, labels: { change: 'generation' } },
    )
  },
  async listenql_faults_total(world) {
    const claims = {
      get n(): number {
        throw new TypeError('a fault of the application')
      },
    }
    const role = world.roles.user
    const server = await world.server({
      authenticate: () => ({ role, claims }),
      roleChannels: { [role]: [`user.\${claims.n}`] },
    })
    await world.moves('listenql_faults_total', () => post(server.url, { query: '{ channels }' }), { server })
  },
}
