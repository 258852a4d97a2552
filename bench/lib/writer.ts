import pg from 'pg'
import { now, pause } from './clock.js'
import { payload } from './payload.js'
import { CHANNEL, TABLE } from './variants.js'

/** Creates events in Postgres, one transaction each. */
export interface Writer {
  /** NOTIFY with a payload of 240 bytes. */
  notify(): Promise<unknown>
  /** Inserts a row with a text of that length into table `feed`. */
  insert(): Promise<unknown>
  /** Updates the text of several rows of `feed` in one statement. */
  update(pks: readonly number[]): Promise<unknown>
  /** Number of committed transactions. */
  readonly committed: number
  close(): Promise<void>
}

/** @param connections number of commits that may be in progress at a time; each takes as long as a disk flush */
export async function createWriter(url: string, connections = 4): Promise<Writer> {
  const clients = await Promise.all(
    Array.from({ length: connections }, async () => {
      const client = new pg.Client(url)
      client.on('error', () => undefined) // its queries fail too
      await client.connect()
      return client
    }),
  )
  const idle = [...clients]
  const waiting: ((client: pg.Client) => void)[] = []
  let committed = 0
  // The payload gets its time stamp when it is sent, so that waiting for a connection does not count as latency of the server.
  const write = async (name: string, text: string, values: () => unknown[]) => {
    const client = idle.pop() ?? (await new Promise<pg.Client>(resolve => waiting.push(resolve)))
    try {
      await client.query({ name, text, values: values() })
      committed++
    } finally {
      const next = waiting.shift()
      if (next) next(client)
      else idle.push(client)
    }
  }
  return {
    notify: () => write('notify', 'select pg_notify($1, $2)', () => [CHANNEL, payload()]),
    insert: () => write('insert', `insert into ${TABLE} (text) values ($1)`, () => [payload()]),
    update: pks =>
      write('update', `update ${TABLE} set text = $1 where pk = any($2)`, () => [payload(), pks]),
    get committed() {
      return committed
    },
    async close() {
      await Promise.all(clients.map(client => client.end()))
    },
  }
}

/** Calls `write` at a fixed rate per second. @returns the number of calls; rejects if one of the writes fails */
export async function paced(rate: number, seconds: number, write: () => Promise<unknown>): Promise<number> {
  const start = now()
  const total = Math.max(1, Math.round(rate * seconds))
  const writes: Promise<unknown>[] = []
  for (let sent = 0; sent < total; ) {
    const due = Math.min(total, 1 + Math.floor(((now() - start) * rate) / 1e6))
    for (; sent < due; sent++) {
      const writing = write()
      writing.catch(() => undefined) // seen below
      writes.push(writing)
    }
    if (sent < total) await pause(Math.max(0, (start + (sent * 1e6) / rate - now()) / 1000))
  }
  await Promise.all(writes)
  // The last event gets its full interval too.
  await pause(Math.max(0, (start + seconds * 1e6 - now()) / 1000))
  return total
}
