/**
 * What row-level security costs: 1,000 viewers with different claims follow one table, whose policy shows each row to one of them.
 * It measures events per second from the first commit to the last delivered event, and the time from a single commit to its viewer,
 * in five modes: with a policy that the server evaluates itself; with the same policy in a form that the database evaluates (`is true`);
 * with that and a filter with the same condition; without row-level security; and with one query to the database for each viewer and
 * event. It covers the log, the policies and delivery to a function, without
 * the network. The modes run in turn within a round, and ratios are computed within a round.
 *
 *   npx tsx bench/rls.ts [--viewers N] [--events N] [--rounds N] [--lone N] [--url URL] [--directory DIR]
 */
import { cpus, release } from 'node:os'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { type Viewer, viewerKey } from '../src/auth/viewer.js'
import { readCatalog } from '../src/catalog/catalog.js'
import type { WatchedTable } from '../src/catalog/watched-table.js'
import { EVERYTHING, type Filter, parseFilter } from '../src/filters/index.js'
import { formatTable } from '../src/lib/table.js'
import { LogFollower } from '../src/log/log-follower.js'
import { createPollDoorbell } from '../src/log/pace/doorbell.js'
import { claimsText, takeClaimsSql, takeRoleSql } from '../src/rls/become.js'
import { createRowAccess } from '../src/rls/row-access.js'
import type { CheckVisibility, ReadConditions } from '../src/rls/visibility.js'
import type { RowChange } from '../src/sources/tables/row-change.js'
import { createTables } from '../src/sources/tables/tables.js'
import { createBenchDatabase } from './lib/database.js'
import { median, percent, quantile } from './lib/statistics.js'

const { values } = parseArgs({
  options: {
    viewers: { type: 'string', default: '1000' },
    events: { type: 'string', default: '2000' },
    rounds: { type: 'string', default: '5' },
    lone: { type: 'string', default: '40' },
    url: { type: 'string' },
    directory: { type: 'string' },
  },
})
const VIEWERS = Number(values.viewers)
const EVENTS = Number(values.events)

interface Mode {
  readonly name: string
  readonly checkVisibility: CheckVisibility | undefined
  /** Undefined: the database is asked about every row. */
  readonly readConditions?: ReadConditions
  /** The policy, as SQL. */
  readonly using: string
  readonly filterOf: (sub: string) => Filter
  /** Number of events; a slow mode needs only some of them. */
  readonly events: number
}

interface Measured {
  /** Events per second. */
  readonly rate: number
  /** Processor time of this process for one event, in ms: of the server, and of the benchmark. */
  readonly cpu: number
  /** From a commit to its viewer, in ms. */
  readonly delays: readonly number[]
}

const database = await createBenchDatabase(values)
const config = { connectionString: database.url }
const pool = new pg.Pool({ ...config, max: 4 })
const closing: (() => Promise<unknown>)[] = [() => pool.end()]
try {
  await database.query('drop role if exists listenql_bench_viewer')
  await database.query('create role listenql_bench_viewer')
  await database.query(
    'create table notes (id int generated always as identity primary key, owner text not null, body text)',
  )
  await database.query('grant select on notes to listenql_bench_viewer')
  await database.query('alter table notes enable row level security')
  const mine = `owner = (select current_setting('request.jwt.claims')::json ->> 'sub')`
  const asked = `(${mine}) is true`
  await database.query(`create policy mine on notes using (${mine})`)
  await database.query(`select listenql.watch('notes')`)
  await database.query('select * from listenql.refresh()')
  const client = new pg.Client(config)
  await client.connect()
  closing.unshift(() => client.end())
  const table = (await readCatalog(client))[0] as WatchedTable
  const access = createRowAccess({
    config,
    connectTimeout: 5000,
    reconnectMax: 1000,
    policyTimeout: 60_000,
    keepsPrepared: true,
    observe: console.error,
  })
  closing.unshift(() => access.close())
  const columns = new Map(table.columns.map(column => [column.name, column]))
  const all = () => EVERYTHING
  const own = (sub: string) => parseFilter(columns, { owner: { eq: sub } })
  const modes: readonly Mode[] = [
    { name: 'row-level security', ...access, using: mine, filterOf: all, events: EVENTS },
    { name: 'in the database', ...access, using: asked, filterOf: all, events: EVENTS },
    {
      name: 'in the database, and a filter with the same condition',
      ...access,
      using: asked,
      filterOf: own,
      events: EVENTS,
    },
    {
      name: 'no row-level security',
      checkVisibility: undefined,
      using: mine,
      filterOf: all,
      events: EVENTS,
    },
    {
      name: 'one query for each viewer and event',
      checkVisibility: askEach,
      using: mine,
      filterOf: all,
      events: Math.max(1, Math.round(EVENTS / 200)),
    },
  ]
  const results = new Map<Mode, Measured[]>(modes.map(mode => [mode, []]))
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const mode of modes) {
      await database.query(`alter policy mine on notes using (${mode.using})`)
      const measured = await measure(table, mode, round === 0 ? 2 : Number(values.lone))
      if (round > 0) results.get(mode)?.push(measured) // the first round warms up
    }
  }
  const base = results.get(modes[0] as Mode) ?? []
  console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model}, Linux ${release()}`)
  console.log(`PostgreSQL ${database.version}`)
  console.log(
    `${VIEWERS} viewers; ${EVENTS} events a round in transactions of 10 (the last line: ${modes.at(-1)?.events}), ${values.rounds} rounds\n`,
  )
  console.log(
    formatTable(
      ['', 'events/s', 'of the first line', 'CPU per event', 'commit to viewer p50', 'p99'].map(
        (name, i) => ({
          name,
          align: i === 0 ? ('left' as const) : ('right' as const),
        }),
      ),
      modes.map(mode => {
        const measured = results.get(mode) ?? []
        const delays = measured.flatMap(one => one.delays)
        const rate = median(measured.map(one => one.rate))
        return [
          mode.name,
          rate.toFixed(rate < 10 ? 1 : 0),
          percent(measured.map((one, i) => one.rate / (base[i] as Measured).rate)),
          `${median(measured.map(one => one.cpu)).toFixed(2)} ms`,
          `${median(delays).toFixed(1)} ms`,
          `${quantile(delays, 0.99).toFixed(1)} ms`,
        ]
      }),
    ),
  )
} finally {
  for (const close of closing) await close()
  await database.query('drop table if exists notes')
  await database.query('drop role if exists listenql_bench_viewer')
  await database.close()
}

function viewerOf(sub: string): Viewer {
  return { role: 'listenql_bench_viewer', claims: { sub }, issuedAt: undefined, expiresAt: undefined }
}

/** The naive way: one round trip for each viewer and row, on four connections, to find out whether the viewer sees the row. */
async function askEach(
  _table: WatchedTable,
  viewers: readonly Viewer[],
  images: readonly { get(name: string): unknown }[],
) {
  const verdicts = new Map<string, boolean[]>()
  const queue = [...viewers]
  const ask = async () => {
    for (let viewer = queue.pop(); viewer; viewer = queue.pop()) {
      const seen: boolean[] = []
      for (const image of images) {
        const sql = `begin read only; ${takeRoleSql(viewer.role as string)}; ${takeClaimsSql(claimsText(viewer))};
          select from public.notes where id = ${Number(image.get('id'))}; commit`
        const answers = (await pool.query(sql)) as unknown as pg.QueryResult[]
        seen.push(answers.some(({ command, rowCount }) => command === 'SELECT' && rowCount === 1))
      }
      verdicts.set(viewerKey(viewer, true), seen)
    }
  }
  await Promise.all(Array.from({ length: 4 }, ask))
  return verdicts
}

async function measure(
  table: WatchedTable,
  { checkVisibility, readConditions, filterOf, events }: Mode,
  lone: number,
): Promise<Measured> {
  const log = new LogFollower({
    config,
    doorbell: createPollDoorbell({ poll: 5 }),
    keepsPrepared: true,
    connectTimeout: 5000,
    reconnectMax: 1000,
    observe: console.error,
  })
  const tables = createTables({
    log,
    ...(checkVisibility && { checkVisibility }),
    ...(readConditions && { readConditions }),
    observe: console.error,
  })
  log.start()
  await log.started()
  tables.switchTo([table], true)
  let received = 0
  let wanted = 0
  let done = () => {}
  const stops = await Promise.all(
    Array.from({ length: VIEWERS }, (_, i) => {
      const sub = `viewer ${i}`
      const request = {
        filter: filterOf(sub),
        operations: undefined,
        after: undefined,
        used: table.columns.map(({ name }) => name),
        usesKey: true,
        viewer: checkVisibility && viewerOf(sub),
      }
      return tables.changes(table, request).open({
        event(change: RowChange) {
          if (change.row?.get('owner') === sub && ++received === wanted) done()
        },
        end: error => console.error(error),
      })
    }),
  )
  const write = async (count: number, rows: number) => {
    received = 0
    wanted = count
    const finished = new Promise<void>(resolve => {
      done = resolve
    })
    const began = performance.now()
    for (let at = 0; at < count; at += rows) {
      await pool.query(
        `insert into notes (owner, body) select 'viewer ' || (i * 37 % $3), repeat('x', 100) from generate_series($1::int, $2::int - 1) i`,
        [at, Math.min(at + rows, count), VIEWERS],
      )
    }
    const committed = performance.now()
    await finished
    return { took: performance.now() - began, after: performance.now() - committed }
  }
  const before = process.cpuUsage()
  const { took } = await write(events, 10)
  const used = process.cpuUsage(before)
  const delays: number[] = []
  for (let i = 0; i < lone; i++) delays.push((await write(1, 1)).after)
  for (const stop of stops) stop()
  await tables.close()
  await log.close()
  return { rate: (events / took) * 1000, cpu: (used.user + used.system) / 1000 / events, delays }
}
