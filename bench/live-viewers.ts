/**
 * What live queries of many viewers cost under row-level security: viewers with different claims have the same query without a filter,
 * and the policy of its table shows each row to one of them. Two ways run in turn within a round: the policies are asked which viewers
 * see a changed row, and only those viewers' queries are read; or each change has every query read. It covers the log, the policies, the
 * reads and delivery to a function, without the network.
 *
 *   npx tsx bench/live-viewers.ts [--viewers N] [--everyone] [--rate N] [--seconds N] [--rounds N] [--url URL] [--directory DIR]
 *
 *   --everyone   the policy shows each row to all viewers, so that each change has every query read
 */
import { cpus, release } from 'node:os'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { claimsOf, type Viewer } from '../src/auth/viewer.js'
import { readCatalog } from '../src/catalog/catalog.js'
import type { WatchedTable } from '../src/catalog/watched-table.js'
import { EVERYTHING } from '../src/filters/index.js'
import { formatTable } from '../src/lib/table.js'
import { createLiveQueries } from '../src/live/live-queries.js'
import { LogFollower } from '../src/log/log-follower.js'
import { createPollDoorbell } from '../src/log/pace/doorbell.js'
import { createPolicyWatch } from '../src/rls/reads/policy-watch.js'
import { createRowAccess } from '../src/rls/row-access.js'
import { createViewerPolicies } from '../src/server/viewer-policies.js'
import { planOf } from '../src/snapshots/snapshot-request.js'
import { createSnapshots } from '../src/snapshots/snapshots.js'
import { createTables } from '../src/sources/tables/tables.js'
import { pause } from './lib/clock.js'
import { createBenchDatabase } from './lib/database.js'
import { processorTime } from './lib/processor-time.js'
import { median, quantile } from './lib/statistics.js'

const { values } = parseArgs({
  options: {
    viewers: { type: 'string', default: '1000' },
    everyone: { type: 'boolean', default: false },
    rate: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
    url: { type: 'string' },
    directory: { type: 'string' },
  },
})
const VIEWERS = Number(values.viewers)
const RATE = Number(values.rate)
const SECONDS = Number(values.seconds)
const EVERY_MS = 50
/** Rows of a result. */
const LIMIT = 20
const ROLE = 'listenql_bench_viewer'

interface Measured {
  readonly reads: number
  /** Cores. */
  readonly database: number
  readonly own: number
  /** From a commit to the viewer, in ms. */
  readonly delays: readonly number[]
}

const database = await createBenchDatabase(values)
const config = { connectionString: database.url }
try {
  await database.query(`drop role if exists ${ROLE}`)
  await database.query(`create role ${ROLE}`)
  await database.query(
    'create table notes (id int primary key, owner text not null, stamp float8 not null, body text)',
  )
  await database.query(
    `insert into notes select i, 'viewer ' || i % ${VIEWERS}, 0, repeat('x', 100) from generate_series(0, ${5 * VIEWERS - 1}) i`,
  )
  await database.query('create index on notes (owner)')
  await database.query('analyze notes')
  await database.query(`grant select on notes to ${ROLE}`)
  await database.query('alter table notes enable row level security')
  await database.query(
    `create policy mine on notes using ((select current_setting('request.jwt.claims')::json ->> 'sub') ${values.everyone ? 'is not null' : '= owner'})`,
  )
  await database.query(`select listenql.watch('notes')`)
  await database.query('select * from listenql.refresh()')
  const client = new pg.Client(config)
  await client.connect()
  const table = (await readCatalog(client))[0] as WatchedTable
  await client.end()
  const ways = ['the policies are asked', 'every query is read'] as const
  const found = new Map<string, Measured[]>(ways.map(way => [way, []]))
  for (let round = 0; round < Number(values.rounds); round++)
    for (const way of ways) {
      console.error(`round ${round + 1}, ${way}`)
      found.get(way)?.push(await measure(table, way === ways[0]))
    }
  console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model}, Linux ${release()}`)
  console.log(`PostgreSQL ${database.version}`)
  console.log(
    `${VIEWERS} viewers; ${RATE} updates/s of random rows, each ${values.everyone ? 'seen by all' : 'of one viewer'}; ${values.rounds} rounds of ${SECONDS} s\n`,
  )
  const names = ['', 'reads/s', 'core in Postgres', 'core in the process', 'commit to viewer p50', 'p99']
  console.log(
    formatTable(
      names.map((name, i) => ({ name, align: i === 0 ? ('left' as const) : ('right' as const) })),
      [...found].map(([way, all]) => {
        const of = (pick: (one: Measured) => number) => median(all.map(pick))
        const delays = all.flatMap(one => one.delays)
        return [
          way,
          of(one => one.reads).toFixed(0),
          `${(100 * of(one => one.database)).toFixed(1)} %`,
          `${(100 * of(one => one.own)).toFixed(1)} %`,
          delays.length > 0 ? `${median(delays).toFixed(0)} ms` : 'none arrived',
          delays.length > 0 ? `${quantile(delays, 0.99).toFixed(0)} ms` : '',
        ]
      }),
    ),
  )
} finally {
  await database.query('drop table if exists notes')
  await database.query(`drop role if exists ${ROLE}`)
  await database.close()
}

async function measure(table: WatchedTable, isAsked: boolean): Promise<Measured> {
  const shared = {
    config,
    connectTimeout: 5000,
    reconnectMax: 1000,
    keepsPrepared: true,
    observe: console.error,
  }
  const log = new LogFollower({ ...shared, doorbell: createPollDoorbell({ poll: 5 }) })
  const access = createRowAccess(shared)
  const tables = createTables({ log, observe: console.error })
  log.start()
  await log.started()
  tables.switchTo([table], true)
  const pool = new pg.Pool({ ...config, max: 1 })
  const watch = createPolicyWatch({ pool, maxAge: 2000, keepsPrepared: true })
  const policies = createViewerPolicies({ watch, tableOf: tables.tableOf })
  const snapshots = createSnapshots({ ...shared, queryTimeout: 60_000, cursors: log.cursors, readers: 3 })
  let reads = 0
  const queries = createLiveQueries({
    snapshots: {
      read(...args) {
        reads++
        return snapshots.read(...args)
      },
    },
    follow: tables.follow,
    position: () => log.position,
    ...(isAsked && { checkVisibility: access.checkVisibility }),
    observe: console.error,
  })
  const delays: number[] = []
  let isMeasured = false
  const plan = planOf(table, { filter: EVERYTHING, orderBy: [], limit: LIMIT, offset: 0 })
  const stops = await Promise.all(
    Array.from({ length: VIEWERS }, async (_, i) => {
      const viewer: Viewer = {
        role: ROLE,
        claims: { sub: `viewer ${i}` },
        issuedAt: undefined,
        expiresAt: undefined,
      }
      const known = await policies.assert(viewer, plan)
      const held = policies.hold(known, plan, console.error)
      await held.ready
      const as = { viewer: { ...known, claims: claimsOf(known) } }
      let newest = 0
      const { close } = await new Promise<{ close: () => void }>(resolve => {
        const opened = queries.open(
          { live: queries.prepare(plan, as), as, every: EVERY_MS, policies: held.policies },
          {
            result({ rows }) {
              const stamp = Math.max(...rows.map(row => Number(row.get('stamp'))))
              if (isMeasured && stamp > newest) delays.push(Date.now() - stamp)
              newest = Math.max(newest, stamp)
              resolve(opened)
            },
            end: console.error,
          },
        )
      })
      return () => {
        close()
        held.stop()
      }
    }),
  )
  const writing = write(SECONDS + 1)
  await pause(1000)
  const state = async () => {
    const { user, system } = process.cpuUsage()
    return { reads, own: (user + system) / 1e6, database: await databaseTime() }
  }
  const before = await state()
  isMeasured = true
  await pause(SECONDS * 1000)
  const after = await state()
  await writing
  await pause(1000) // the results of the last changes
  const measured = {
    reads: (after.reads - before.reads) / SECONDS,
    database: (after.database - before.database) / SECONDS,
    own: (after.own - before.own) / SECONDS,
    delays,
  }
  for (const stop of stops) stop()
  queries.close()
  await Promise.all([snapshots.close(), access.close(), tables.close(), pool.end()])
  await log.close()
  return measured
}

/** The processor time of listenql's sessions, in seconds. */
async function databaseTime(): Promise<number> {
  const rows = await database.query(
    `select pid from pg_stat_activity where application_name like 'listenql%' and datname = current_database()`,
  )
  const times = await Promise.all(rows.map(({ pid }) => processorTime(Number(pid)).catch(() => 0)))
  return times.reduce((sum, one) => sum + one, 0)
}

async function write(seconds: number): Promise<void> {
  const began = performance.now()
  for (let i = 0; performance.now() - began < seconds * 1000; i++) {
    await database.query('update notes set stamp = $2 where id = $1', [
      Math.floor(Math.random() * (values.everyone ? LIMIT : 5 * VIEWERS)),
      Date.now(),
    ])
    const ahead = (i * 1000) / RATE - (performance.now() - began)
    if (ahead > 1) await pause(ahead)
  }
}
