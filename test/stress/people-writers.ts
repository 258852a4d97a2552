import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import type { Random } from './random.js'
import { byItself, inTransaction, isByChance } from './transactions.js'
import type { RunTransaction, WriterScripts } from './writers.js'

const ORDINARY = 4

const ordinary: RunTransaction = async (client, random, phase) => {
  await delay(phase.isLull ? random.int(300, 1500) : random.int(0, 40))
  if (phase.isPaused) return false
  return phase.isLull || random.chance(0.4)
    ? byItself(() => statement(client, random, 80))
    : inTransaction(client, random, () => severalStatements(client, random))
}
/** Takes its transaction id, and low event ids, long before it commits. */
const slow: RunTransaction = async (client, random, phase) => {
  await delay(random.int(50, 500))
  if (phase.isLull || phase.isPaused) return false
  return inTransaction(client, random, async () => {
    for (let i = random.int(2, 5); i > 0 && !phase.isPaused; i--) {
      await statement(client, random, 8, 1000) // rows that no other transaction waits for
      await delay(random.int(50, 700))
    }
    // This transaction began before others that have changed these rows in the meantime, and its changes come after theirs.
    await client.query('update people set team = $1 where pk <= $2', [random.int(0, 7), HOT])
  })
}
const bulk: RunTransaction = async (client, random, phase) => {
  await delay(random.int(1000, 4000))
  if (phase.isLull || phase.isPaused) return false
  return inTransaction(client, random, () => bulkStatement(client, random))
}

/** Writers that behave like applications; the only function of listenql they call is `publish`. */
export const PEOPLE_WRITERS: WriterScripts = {
  ...Object.fromEntries(Array.from({ length: ORDINARY }, (_, i) => [`writer ${i + 1}`, ordinary])),
  'slow writer 1': slow,
  'slow writer 2': slow,
  'bulk writer': bulk,
}

async function severalStatements(client: pg.Client, random: Random): Promise<void> {
  for (let i = random.int(2, 6); i > 0; i--) {
    if (random.chance(0.3)) await inSavepoint(client, random, random.int(1, 2))
    else await statement(client, random, 80)
  }
}

async function inSavepoint(client: pg.Client, random: Random, depth: number): Promise<void> {
  const name = `s${depth}`
  await client.query(`savepoint ${name}`)
  try {
    for (let i = random.int(1, 3); i > 0; i--) await statement(client, random, 80)
    if (depth > 1) await inSavepoint(client, random, depth - 1)
    await client.query(random.chance(0.5) ? `release ${name}` : `rollback to ${name}`)
  } catch (error) {
    if (!isByChance(error)) throw error
    await client.query(`rollback to ${name}`)
  }
}

const SHOPS = ['north', 'east', 'south', 'west']
/** The number of contended keys: transactions wait for each other there. */
const HOT = 6
const STATES = ['open', 'paid', 'sent']

/** Runs one statement on one of `range` keys from `base` on. */
async function statement(client: pg.Client, random: Random, range: number, base = 0): Promise<void> {
  const key = base + random.int(1, random.chance(0.4) ? HOT : range)
  const name = Array.from({ length: 5 }, () => String.fromCharCode(random.int(97, 122))).join('')
  const score = random.chance(0.2) ? null : random.int(0, 10_000) / 100
  const team = random.int(0, 7)
  const shop = random.pick(SHOPS)
  const state = random.pick(STATES)
  const amount = random.int(0, 20_000) / 100
  const person = [key, name, team, score]
  const order = [shop, key, state, amount]
  const statements: readonly (readonly [string, readonly unknown[]])[] = [
    ['insert into people values ($1, $2, $3, $4)', [base + random.int(1, 4 * range), name, team, score]],
    [
      'insert into people values ($1, $2, $3, $4) on conflict (pk) do update set name = excluded.name, team = excluded.team, score = excluded.score',
      person,
    ],
    ['insert into people values ($1, $2, $3, $4) on conflict (pk) do nothing', person],
    ['update people set name = $2, team = $3, score = $4 where pk = $1', person],
    ['update people set score = $4 where pk = $1 and $2::text is not null and $3::int is not null', person],
    ['update people set team = $2 where pk between $1 and $1 + 3', [key, team]],
    ['update people set pk = $2 where pk = $1', [key, base + random.int(1, 4 * range)]],
    ['delete from people where pk = $1', [key]],
    ['delete from people where pk between $1 and $1 + 2', [key]],
    [
      `merge into people p using (values ($1::int, $2::text, $3::int, $4::numeric)) n (pk, name, team, score) on p.pk = n.pk
       when matched and p.team = n.team then delete
       when matched then update set name = n.name, score = n.score
       when not matched then insert values (n.pk, n.name, n.team, n.score)`,
      person,
    ],
    [
      'insert into orders values ($1, $2, $3, $4) on conflict (shop, no) do update set state = excluded.state, amount = excluded.amount',
      order,
    ],
    ['update orders set state = $3, amount = $4 where shop = $1 and no = $2', order],
    ['update orders set state = $2 where no = $1', [key, state]],
    ['delete from orders where shop = $1 and no = $2', [shop, key]],
    ['select tell($1, $2)', ['news', random.chance(0.05) ? 20_000 : random.int(0, 200)]],
    ['select tell($1, $2)', [random.chance(0.1) ? 'rare' : 'news', 10]],
  ]
  const [text, values] = random.pick(statements)
  await client.query(text, [...values])
}

/** Many rows in one statement; they are inserted and deleted, so that snapshots stay below the row limit. */
async function bulkStatement(client: pg.Client, random: Random): Promise<void> {
  const shop = random.pick(SHOPS)
  const rows = random.chance(0.1) ? 2000 : random.int(50, 400)
  const statements: readonly (readonly [string, readonly unknown[]])[] = [
    [
      `insert into orders select $1, 1000 + g, 'open', g from generate_series(1, $2::int) g
       on conflict (shop, no) do update set amount = excluded.amount + 1`,
      [shop, rows],
    ],
    ['update orders set state = $2 where shop = $1 and no > 1000', [shop, random.pick(STATES)]],
    ['delete from orders where no > 1000 and shop = $1', [shop]],
    ['delete from orders where no > 1000', []],
    ['truncate orders', []],
  ]
  const [text, values] = random.pick(statements)
  await client.query(text, [...values])
}
