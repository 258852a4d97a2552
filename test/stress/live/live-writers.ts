import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import type { Random } from '../random.js'
import { byItself, inTransaction } from '../transactions.js'
import type { RunTransaction, WriterScripts } from '../writers.js'
import { ACCOUNTS } from './scene.js'

type Statement = readonly [text: string, values: readonly unknown[]]

const STATES = ['open', 'paid', 'sent']
const GRADES = ['low', 'middle', 'high', null]

/** Statements that move rows into and out of results, and to the edges of lists. */
function statements(random: Random): readonly Statement[] {
  const customer = random.int(1, 40)
  const shop = `${random.int(0, 3)}.${random.pick(['5', '50', '500'])}` // one key in three texts
  const no = random.int(1, 70)
  const total = random.int(0, 10_000) / 100
  const region = random.pick(['a', 'b', 'c', 'd', 'e', 'f', null])
  return [
    [
      `insert into customers values ($1, $2, (select code from regions where code = $3), (select id from customers where id = $4), $5, $6)
       on conflict (id) do update set name = excluded.name, region_key = excluded.region_key, boss_id = excluded.boss_id`,
      [customer, `c${random.int(1, 50)}`, region, random.int(1, 40), random.pick(GRADES), total],
    ],
    ['update customers set credit = $2, grade = $3 where id = $1', [customer, total, random.pick(GRADES)]],
    ['update customers set boss_id = (select id from customers where id = $2) where id = $1', [customer, random.int(1, 40)]],
    ['update customers set name = $2 where id % 7 = $1', [customer % 7, `c${random.int(1, 50)}`]],
    ['delete from customers where id = $1', [customer]],
    ['insert into regions values ($1, $2) on conflict (code) do update set name = excluded.name', [region ?? 'g', `region ${random.int(0, 6)}`]],
    ['update regions set code = $2 where code = $1 and not exists (select from regions where code = $2)', [region, random.pick(['a', 'c', 'f', 'g'])]],
    ['delete from regions where code = $1', [region]],
    [
      `insert into orders values ($1, $2, (select id from customers where id = $3), $4, $5, 'n')
       on conflict (shop, no) do update set customer_id = excluded.customer_id, total = excluded.total`,
      [shop, no, customer, random.pick(STATES), total],
    ],
    ['update orders set state = $2, total = $3 where no = $1', [no, random.pick(STATES), total]],
    ['update orders set note = $2 where no % 5 = $1', [no % 5, `note ${random.int(0, 9)}`]],
    ['update orders set shop = $2 where shop = $1 and no = $3', [shop, `${random.int(0, 3)}.5`, no]], // to another partition
    ['delete from orders where no = $1', [no]],
    [
      `insert into items select shop, no, $2, $3 from orders where no = $1
       on conflict (order_shop, order_no, sku) do update set quantity = excluded.quantity`,
      [no, `s${random.int(1, 5)}`, random.int(1, 9)],
    ],
    ['update items set quantity = quantity + 1 where sku = $1 and order_no % 3 = $2', [`s${random.int(1, 5)}`, no % 3]],
    ['delete from items where order_no = $1', [no]],
  ] // biome-ignore format: a table
}

const ordinary: RunTransaction = async (client, random, phase) => {
  await delay(phase.isLull ? random.int(300, 1500) : random.int(0, 40))
  if (phase.isPaused) return false
  const one = async () => {
    const [text, values] = random.pick(statements(random))
    await client.query(text, [...values])
  }
  if (phase.isLull || random.chance(0.5)) return byItself(one)
  return inTransaction(client, random, async () => {
    for (let i = random.int(2, 6); i > 0; i--) await one()
  })
}

const transfer: RunTransaction = async (client, random, phase) => {
  await delay(phase.isLull ? random.int(300, 1500) : random.int(0, 60))
  if (phase.isPaused) return false
  const amount = random.int(1, 50)
  return inTransaction(client, random, async () => {
    await move(client, random.int(1, ACCOUNTS), -amount)
    if (random.chance(0.2)) await delay(random.int(0, 200))
    await move(client, random.int(1, ACCOUNTS), amount)
  })
}

async function move(client: pg.Client, account: number, amount: number): Promise<void> {
  await client.query('update accounts set balance = balance + $2 where id = $1', [account, amount])
}

const clearing: RunTransaction = async (client, random, phase) => {
  await delay(random.int(1000, 4000))
  if (phase.isLull || phase.isPaused) return false
  return byItself(async () => void (await client.query('truncate items')))
}

export const LIVE_WRITERS: WriterScripts = {
  'writer 1': ordinary,
  'writer 2': ordinary,
  'writer 3': ordinary,
  'transferring writer 1': transfer,
  'transferring writer 2': transfer,
  'clearing writer': clearing,
}
