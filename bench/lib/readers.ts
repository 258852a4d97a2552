import pg from 'pg'
import { LogFollower } from '../../src/log/log-follower.js'
import { BELL, createBell } from '../../src/log/pace/doorbell.js'
import { pinSession } from '../../src/postgres/pinned-settings.js'

/** Receives every row while writers write. */
export interface Reader {
  /** Rows delivered so far. */
  readonly rows: number
  close(): Promise<void>
}

/**
 * The server's own reader of the event log, with its doorbell, its session and the server's defaults, following one table.
 * @param onRow called with each row that is inserted. Default: rows are only counted
 */
export async function followTable(
  url: string,
  relid: string,
  onRow?: (row: Record<string, unknown>) => void,
): Promise<Reader> {
  const bell = createBell({ poll: 5, quiet: 250, safety: 2000 })
  const listener = new pg.Client(url)
  listener.on('error', () => undefined)
  await listener.connect()
  listener.on('notification', ({ payload }) => bell.ring(payload ?? ''))
  await listener.query(`listen ${BELL}`)
  bell.onListening(true)
  const log = new LogFollower({
    config: pinSession({ connectionString: url }, { runs: 'ours' }),
    keepsPrepared: true,
    doorbell: bell,
    connectTimeout: 5000,
    reconnectMax: 1000,
    observe: () => undefined, // an error shows in the count
  })
  log.start()
  if (!(await log.started())) throw new Error('the log cannot be read')
  let rows = 0
  log.follow('t', relid, {
    event: event => {
      if (event.operation !== 'I') return
      rows++
      onRow?.(JSON.parse(event.new ?? '{}'))
    },
    lost: error => {
      throw error
    },
  })
  return {
    get rows() {
      return rows
    },
    async close() {
      await log.close()
      await listener.end()
    },
  }
}

/** Listens to a channel, as pg_eventserv does. */
export async function listen(url: string, channel: string): Promise<Reader> {
  const client = new pg.Client(url)
  client.on('error', () => undefined) // an error shows in the count
  await client.connect()
  let rows = 0
  client.on('notification', () => {
    rows++
  })
  await client.query(`listen ${pg.escapeIdentifier(channel)}`)
  return {
    get rows() {
      return rows
    },
    close: () => client.end(),
  }
}

/** Waits until a reader has received `wanted` rows. @returns how long, in ms @throws if it takes a minute, or if there are more rows */
export async function caughtUp(reader: Reader, wanted: number): Promise<number> {
  const start = performance.now()
  while (reader.rows < wanted) {
    if (performance.now() - start > 60_000)
      throw new Error(`${reader.rows} rows delivered, ${wanted} committed`)
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  if (reader.rows > wanted) throw new Error(`${reader.rows} rows delivered, ${wanted} committed`)
  return performance.now() - start
}
