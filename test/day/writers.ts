import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { waitUntil } from '../support/wait.js'
import { BRANCHES } from './shop.js'

/** The application: it writes until it is stopped, and connects again when its connection is lost. */
export interface Writers {
  /** Numbers of the transactions whose commit was confirmed: each is in the table `journal`. */
  readonly confirmed: ReadonlySet<number>
  /** Resolves once this many further transactions are confirmed. */
  more(transactions: number): Promise<void>
  /** Resolves when the last transactions have ended. */
  stop(): Promise<void>
}

const WRITERS = 2
/** The longest pause between two transactions of one writer, in ms. */
const PAUSE_MS = 50
/** How long an outage may last, in ms. */
const PATIENCE_MS = 60_000
/** About as many orders are open at a time: older ones are deleted. */
const OPEN_ORDERS = 300

/** @param complain is told of errors that are no outage */
export function startWriters(url: string, complain: (text: string) => void): Writers {
  const confirmed = new Set<number>()
  const over = new AbortController()
  let next = 0

  async function write(): Promise<void> {
    while (!over.signal.aborted) {
      const client = new pg.Client({ connectionString: url, application_name: 'application' })
      client.on('error', () => undefined) // the running query rejects with the same error
      try {
        await client.connect()
        while (!over.signal.aborted) {
          const n = ++next
          await transaction(client, n)
          confirmed.add(n)
          await delay(Math.random() * PAUSE_MS)
        }
      } catch (error) {
        if (!isOutage(error)) complain(`the application: ${error}`)
        await delay(PAUSE_MS)
      } finally {
        await client.end().catch(() => undefined)
      }
    }
  }
  const running = Array.from({ length: WRITERS }, write)
  return {
    confirmed,
    async more(transactions) {
      const before = confirmed.size
      await waitUntil(
        () => confirmed.size >= before + transactions,
        `${transactions} transactions of the application`,
        PATIENCE_MS,
      )
    },
    async stop() {
      over.abort()
      await Promise.all(running)
    },
  }
}

async function transaction(client: pg.Client, n: number): Promise<void> {
  const branch = BRANCHES[n % BRANCHES.length]
  await client.query('begin')
  await client.query('insert into journal values ($1)', [n])
  await client.query(`insert into orders values (nextval('order_id'), $1, 'open', $2)`, [branch, n % 1000])
  await client.query(
    `update orders set state = 'sent', version = version + 1 where id in
       (select id from orders where branch = $1 and state = 'open' order by id limit 2 for update skip locked)`,
    [branch],
  )
  if (n % 5 === 0)
    await client.query('update products set stock = stock - 1, version = version + 1 where id = $1', [
      1 + (n % 20),
    ])
  if (n % 10 === 0) await client.query('select tell($1)', [n])
  if (n % 20 === 0)
    await client.query(
      `delete from orders where id in (select id from orders where id < currval('order_id') - $1 for update skip locked)`,
      [OPEN_ORDERS],
    )
  await client.query('commit')
}

/** The database is away, starts, or is a standby still. */
function isOutage(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /^(57P|08|25006$|E[A-Z]+$)/.test(code) || /terminated|ended/i.test(String(error))
}
