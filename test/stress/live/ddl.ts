import { setTimeout as delay } from 'node:timers/promises'
import type { StressDatabase } from '../database.js'
import type { Random } from '../random.js'
import { createPolicy } from './policies.js'
import type { Schema } from './schema.js'
import { constrain, typeOf } from './schema-sql.js'

/** Statements after which every live query of the run still fits: they heal themselves. */
function alterations(schema: Schema): string[] {
  const [grade] = schema.grades
  const all = schema.tables.flatMap(({ name, columns, partitions }) => [
    `alter table ${name} add column if not exists extra int default 5`,
    `alter table ${name} drop column if exists extra`,
    ...columns.flatMap(column => {
      if (!column.name.startsWith('v')) return []
      const alter = (type: string) => `alter table ${name} alter ${column.name} type ${type}`
      if (column.type === 'text') return [alter('varchar'), alter('text')]
      if (column.type !== 'numeric' || column.scale === undefined) return []
      return [alter('numeric(12, 4)'), alter(typeOf(column))] // rewrites the table
    }),
    ...(partitions ? [] : [`vacuum full ${name}`]),
    ...(partitions === 'list'
      ? [
          `alter table ${name} detach partition ${name}_0; alter table ${name} attach partition ${name}_0 for values in ('${grade}')`,
        ]
      : []),
  ])
  const keys = schema.references.map(reference => {
    const { name, from } = reference
    return [`alter table ${from} drop constraint ${name}`, ...constrain(reference)].join('; ')
  })
  return [
    ...all,
    ...keys,
    ...schema.policies.map(policy => `drop policy by_grade on ${policy.table}; ${createPolicy(policy)}`),
    `alter type grade rename value '${grade}' to 'renamed'; alter type grade rename value 'renamed' to '${grade}'`,
  ]
}

export interface Alteration {
  readonly count: number
  pause(isOn: boolean): void
  stop(): Promise<void>
}

/** Alters the tables now and then, while writers write and servers are killed. */
export function startAltering(options: {
  readonly database: StressDatabase
  readonly schema: Schema
  readonly random: Random
  readonly complain: (text: string) => void
}): Alteration {
  const { database, schema, random, complain } = options
  const choices = alterations(schema)
  const stopped = new AbortController()
  let isPaused = false
  let count = 0

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      await delay(random.int(300, 2500), undefined, { signal: stopped.signal }).catch(() => undefined)
      if (isPaused || stopped.signal.aborted) continue
      const sql = random.pick(choices)
      try {
        await database.session(async query => {
          await query(`set lock_timeout = '300ms'`)
          await query(sql)
        })
        count++
      } catch (error) {
        // The table is in use, a deferred reference is not there yet, or Postgres is being killed.
        const code = String((error as { code?: unknown }).code ?? '')
        const isExpected = /^(55P03|40P01|23503|57P|08|E[A-Z]+$|$)/.test(code)
        if (!isExpected) complain(`${sql} failed: ${String(error)}`)
      }
    }
  }

  const running = run()
  return {
    get count() {
      return count
    },
    pause(isOn) {
      isPaused = isOn
    },
    async stop() {
      stopped.abort()
      await running
    },
  }
}
