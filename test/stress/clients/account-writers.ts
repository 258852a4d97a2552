import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import type { Random } from '../random.js'
import { byItself, inTransaction, isByChance } from '../transactions.js'
import type { RunTransaction, WriterScripts } from '../writers.js'
import { BRANCHES } from './scene.js'

/** An account as a writer reads it. */
interface Held {
  readonly id: number
  readonly branch: number
  readonly balance: number
}

/** Keys above this belong to the accounts that the bulk writer opens. */
const BULK = 10_000

/** Moves money between accounts: in several statements, with savepoints, in one branch or in two. */
const ordinary: RunTransaction = async (client, random, phase) => {
  await delay(phase.isLull ? random.int(300, 1500) : random.int(0, 60))
  if (phase.isPaused) return false
  const branches = random.shuffle(BRANCHES).slice(0, random.chance(0.3) ? 2 : 1)
  return inTransaction(client, random, async () => {
    await lockSeals(client, branches)
    for (let i = random.int(1, 4); i > 0; i--) {
      if (random.chance(0.2)) await inSavepoint(client, random, branches)
      else await statement(client, random, branches)
    }
    if (random.chance(0.05)) await delay(random.int(0, 200))
    await sealAll(client, branches)
  })
}

/** Changes owners: where their keys change or go, the foreign key changes accounts. */
const ownersOnly: RunTransaction = async (client, random, phase) => {
  await delay(phase.isLull ? random.int(500, 2000) : random.int(20, 200))
  if (phase.isPaused) return false
  const id = random.int(1, 12)
  const [text, values] = random.pick<readonly [string, readonly unknown[]]>([
    [
      'insert into owners values ($1, $2) on conflict (id) do update set name = excluded.name',
      [id, `owner ${random.int(0, 999)}`],
    ],
    ['update owners set name = $2 where id = $1', [id, `renamed ${random.int(0, 999)}`]],
    ['update owners set id = $2 where id = $1', [id, random.int(1, 12)]],
    ['delete from owners where id = $1', [id]],
    [
      'update accounts set owner_id = $1 where id in (select id from accounts where id > 0 order by id % $2 limit 3)',
      [id, random.int(2, 9)],
    ],
  ])
  return byItself(async () => void (await client.query(text, [...values])))
}

/** Opens many accounts in one transaction, and closes them in another. */
const bulk: RunTransaction = async (client, random, phase) => {
  await delay(random.int(1000, 3000))
  if (phase.isLull || phase.isPaused) return false
  const branch = random.pick(BRANCHES)
  return inTransaction(client, random, async () => {
    await lockSeals(client, [branch])
    const { rowCount } = await client.query('delete from accounts where id > $1 and branch = $2', [
      BULK,
      branch,
    ])
    if (rowCount === 0)
      await client.query(
        'insert into accounts (id, branch, balance) select $1::int + 1000 * $2::int + n, $2, 0 from generate_series(1, $3::int) n',
        [BULK, branch, random.int(100, 250)],
      )
    await sealAll(client, [branch])
  })
}

const clearing: RunTransaction = async (client, random, phase) => {
  await delay(random.int(800, 3000))
  if (phase.isLull || phase.isPaused) return false
  return inTransaction(client, random, async () => {
    await client.query(`set local lock_timeout = '2s'`)
    await refill(client, random)
  })
}

/** Empties the table and fills it again: some accounts in other branches, some with the money of others. To be run in a transaction. */
export async function refill(client: Pick<pg.Client, 'query'>, random: Random): Promise<void> {
  await client.query('lock table accounts in access exclusive mode')
  const { rows } = await client.query<Held & { version: number | null }>(
    'select id, branch, balance, version from accounts order by id',
  )
  await client.query('truncate accounts')
  const real = rows.filter(({ id }) => id > 0 && id < BULK)
  const heir = random.pick(real)
  const kept = real.filter(row => row === heir || random.chance(0.8))
  const sum = (all: readonly Held[]) => all.reduce((total, { balance }) => total + balance, 0)
  const inheritance = sum(rows) - sum(kept)
  for (const row of random.shuffle([...rows.filter(({ id }) => id < 0), ...kept])) {
    const branch = row.id > 0 && random.chance(0.2) ? random.pick(BRANCHES) : row.branch
    const balance = row === heir ? row.balance + inheritance : row.balance
    await client.query('insert into accounts (id, branch, balance, version) values ($1, $2, $3, $4)', [
      row.id,
      branch,
      balance,
      row.version,
    ])
  }
  await sealAll(client, BRANCHES)
}

export const ACCOUNT_WRITERS: WriterScripts = {
  'writer 1': ordinary,
  'writer 2': ordinary,
  'writer 3': ordinary,
  'owner writer': ownersOnly,
  'bulk writer': bulk,
  'clearing writer': clearing,
}

async function lockSeals(client: pg.Client, branches: readonly number[]): Promise<void> {
  const { rowCount } = await client.query(
    'select from accounts where id = any($1::int[]) order by id for update',
    [branches.map(branch => -branch)],
  )
  // A snapshot from before a TRUNCATE shows an empty table after it: the statements of this transaction would fit nothing.
  if (rowCount !== branches.length) throw Object.assign(new Error('truncated'), { code: '40001' })
}

async function sealAll(client: Pick<pg.Client, 'query'>, branches: readonly number[]): Promise<void> {
  for (const branch of branches) await client.query('select seal($1)', [branch])
}

async function inSavepoint(client: pg.Client, random: Random, branches: readonly number[]): Promise<void> {
  await client.query('savepoint s')
  try {
    for (let i = random.int(1, 2); i > 0; i--) await statement(client, random, branches)
    await client.query(random.chance(0.5) ? 'release s' : 'rollback to s')
  } catch (error) {
    if (!isByChance(error)) throw error
    await client.query('rollback to s')
  }
}

/** Changes accounts of these branches, and leaves the sum of their balances as it was. */
async function statement(client: pg.Client, random: Random, branches: readonly number[]): Promise<void> {
  const { rows } = await client.query<Held>(
    'select id, branch, balance from accounts where branch = any($1::int[]) and id between 1 and $2 order by id',
    [branches, BULK],
  )
  const [one, other] = random.shuffle(rows)
  const branch = random.pick(branches)
  const key = random.int(1, 999)
  const amount = random.int(1, 50)
  if (!one || !other) return
  const run = async (text: string, ...values: unknown[]) => void (await client.query(text, values))
  const move = (from: number, to: number, money: number) =>
    run(
      'update accounts a set balance = balance + d from (values ($1::int, -$3::int), ($2, $3)) v (id, d) where a.id = v.id',
      ...[from, to, money],
    )
  const give = (id: number, money: number) =>
    run('update accounts set balance = balance + $2 where id = $1', id, money)
  const newKey = "born = nextval('births')"
  const steps: (() => Promise<void>)[] = [
    () => move(one.id, other.id, amount),
    async () => {
      await give(one.id, -amount)
      await give(other.id, amount)
    },
    async () => {
      await run('insert into accounts (id, branch, balance) values ($1, $2, $3)', key, branch, amount)
      await give(one.id, -amount)
    },
    async () => {
      await give(other.id, one.balance)
      await run('delete from accounts where id = $1', one.id)
    },
    () => run(`update accounts set id = $2, ${newKey} where id = $1`, one.id, key),
    async () => {
      for (const [from, to] of [
        [one.id, -99],
        [other.id, one.id],
        [-99, other.id],
      ] as const)
        await run(`update accounts set id = $2, ${newKey} where id = $1`, from, to)
    },
    // Always to the same branch: no row leaves a list and comes back within a transaction.
    () => run('update accounts set branch = $2 where id = $1', one.id, branches[0]),
    async () => {
      await run('delete from accounts where id = $1', one.id)
      await run('insert into accounts (id, branch, balance) values ($1, $2, $3)', one.id, branch, one.balance)
    },
    async () => {
      await run(
        'insert into accounts as a (id, branch, balance) values ($1, $2, 1) on conflict (id) do update set balance = a.balance + 1',
        ...[one.id, branch],
      )
      await give(other.id, -1)
    },
    async () => {
      await run(
        'update accounts set balance = balance + 2 where branch = $1 and id between 1 and $2',
        branch,
        BULK,
      )
      await give(one.id, -2 * rows.filter(row => row.branch === branch).length)
    },
  ]
  await random.pick(steps)()
}
