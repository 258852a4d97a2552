import { setTimeout as delay } from 'node:timers/promises'
import { byItself, inTransaction } from '../transactions.js'
import type { RunTransaction, WriterScripts } from '../writers.js'
import { randomStatement } from './random-writes.js'
import type { Schema } from './schema.js'

/** Writers that write to all tables of a schema, by themselves and in transactions. */
export function liveWriters(schema: Schema): WriterScripts {
  const ordinary: RunTransaction = async (client, random, phase) => {
    await delay(phase.isLull ? random.int(300, 1500) : random.int(0, 40))
    if (phase.isPaused) return false
    const one = async () => void (await client.query(randomStatement(schema, random)))
    if (phase.isLull || random.chance(0.5)) return byItself(one)
    return inTransaction(client, random, async () => {
      for (let i = random.int(2, 6); i > 0; i--) await one()
      if (random.chance(0.1)) await delay(random.int(0, 200))
    })
  }

  const clearing: RunTransaction = async (client, random, phase) => {
    await delay(random.int(1500, 4000))
    if (phase.isLull || phase.isPaused) return false
    const { name } = random.pick(schema.tables)
    return byItself(async () => void (await client.query(`truncate ${name} cascade`)))
  }

  return {
    'writer 1': ordinary,
    'writer 2': ordinary,
    'writer 3': ordinary,
    'writer 4': ordinary,
    'clearing writer': clearing,
  }
}
