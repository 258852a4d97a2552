import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { waitUntil } from '../../support/wait.js'
import type { Chapter } from '../chapter.js'
import { type Day, LOG_LIMIT } from '../day.js'
import { reload } from './servers.js'

const NEARLY_FULL = 'ListenqlLogNearlyFull'
/** Bytes of a row, which hardly compress, and rows of a statement. */
const ROW = 8000
const ROWS = 50

/** Size of the event log in bytes, as the servers measure it. */
async function logSize({ cluster }: Day): Promise<number> {
  const [row] = await cluster.query<{ size: string }>('select listenql.log_bytes() as size')
  return Number(row?.size)
}

/** The application archives rows until `isEnough`. */
async function archive(day: Day, isEnough: () => Promise<boolean>): Promise<void> {
  const client = new pg.Client({ connectionString: day.writerUrl })
  await client.connect()
  try {
    while (!(await isEnough())) {
      const texts = Array.from({ length: ROWS }, () => randomBytes((ROW * 3) / 4).toString('base64'))
      await client.query('insert into archive.letters (text) select * from unnest($1::text[])', [texts])
    }
  } finally {
    await client.end()
  }
}

export const FILL: Chapter = {
  title: 'a table that the servers find by `archive.*` fills the event log to its limit',
  alerts: [NEARLY_FULL],
  async run(day, { writers }) {
    const { cluster, prometheus } = day
    const [before] = await cluster.query<{ now: Date }>('select clock_timestamp() as now')
    const client = new pg.Client({ connectionString: day.writerUrl })
    await client.connect()
    await client.query(
      'create table archive.letters (id bigint generated always as identity primary key, text text)',
    )
    await client.end()
    await waitUntil(
      async () =>
        (await cluster.query(`select from listenql.watched where table_name = 'letters'`)).length > 0,
      'the new table to be watched',
    )
    await archive(day, async () => (await logSize(day)) > 0.88 * LOG_LIMIT)
    await prometheus.until(
      `ALERTS{alertname="${NEARLY_FULL}", alertstate="firing"}`,
      `${NEARLY_FULL} to fire`,
    )
    await archive(day, async () => (await logSize(day)) > 1.02 * LOG_LIMIT)
    // The laptops were closed before, so what they have not seen is gone then.
    const kept = 'select from listenql.event where at < $1 limit 1'
    await waitUntil(
      async () => (await cluster.query(kept, [before?.now])).length === 0,
      'the oldest events to be cleared',
      60_000,
    )
    await writers.more(20)
    return `the servers cleared the oldest events above ${LOG_LIMIT / 2 ** 20} MiB`
  },
}

export const LAPTOPS: Chapter = {
  title: 'laptops that were closed meanwhile come back',
  alerts: ['ListenqlCursorsExpire'],
  async run({ prometheus, complaints }, { laptops }) {
    for (const laptop of laptops) laptop.follow()
    await waitUntil(
      () => laptops.every(({ startedOver }) => startedOver === 1),
      'the laptops to start over',
      60_000,
    )
    await prometheus.until(
      'ALERTS{alertname="ListenqlCursorsExpire", alertstate="firing"}',
      'ListenqlCursorsExpire to fire',
    )
    if (laptops.some(({ startedOver }) => startedOver > 1)) complaints.push('a laptop started over twice')
    return `${laptops.length} clients got CURSOR_EXPIRED and read their rows again`
  },
}

export const RAISE: Chapter = {
  title: 'the operator raises --max-log-size',
  async run(day) {
    await day.configure('MaxLogSize', String(2 * LOG_LIMIT))
    await reload(day)
    await day.prometheus.until(`absent(ALERTS{alertname="${NEARLY_FULL}"})`, `${NEARLY_FULL} to end`)
    return `${NEARLY_FULL} has ended`
  },
}
