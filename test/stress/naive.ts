import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'

/** The naive reader: it reads the events after the last id. */
export interface NaiveReader {
  /** The number of events in the log that it has missed so far, and the number of all events. */
  missed(): Promise<{ missed: number; of: number }>
  stop(): Promise<void>
}

/**
 * Reads the log with `where id > last`, every few ms, which the servers do not do. It loses events that commit out of id order, which
 * proves that the writers of this run overlap.
 */
export function startNaiveReader(url: string): NaiveReader {
  const stopped = new AbortController()
  const seen = new Set<number>()
  let last = 0

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      const client = new pg.Client({
        connectionString: url,
        application_name: 'naive',
        query_timeout: 10_000,
      })
      client.on('error', () => undefined) // the query that runs rejects with the same
      try {
        await client.connect()
        while (!stopped.signal.aborted) {
          const { rows } = await client.query<{ id: string }>({
            name: 'naive',
            text: 'select id from listenql.event where id > $1 order by id',
            values: [last],
          })
          for (const { id } of rows) seen.add(Number(id))
          last = Number(rows.at(-1)?.id ?? last)
          await delay(10)
        }
      } catch {
        await delay(100) // Postgres was killed; the reader continues after its last id
      }
      await client.end().catch(() => undefined)
    }
  }

  const running = run()
  return {
    async missed() {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      const { rows } = await client.query<{ id: string }>('select id from listenql.event where id <= $1', [
        last,
      ])
      await client.end()
      return { missed: rows.filter(({ id }) => !seen.has(Number(id))).length, of: rows.length }
    },
    async stop() {
      stopped.abort()
      await running
    },
  }
}
