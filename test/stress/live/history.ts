import type { Query } from '../database.js'
import type { Row, Tables } from './model.js'
import type { Schema } from './schema.js'
import { shown } from './values.js'

/** A row of `audit`: an old image goes, a new one comes. */
interface Step {
  readonly xid: bigint
  readonly name: string
  readonly old: Row | null
  readonly new: Row | null
}

interface Batch {
  readonly n: number
  readonly token: number
  readonly sees: (xid: bigint) => boolean
}

/** The rows of all tables at the ends of batches, one after the other, from what the tables' own triggers have recorded. */
export interface History {
  /** Moves forward to the end of a batch. Undefined: to the present. @returns whether there is such a batch, not before the last one */
  moveTo(batch: { readonly n: number; readonly token: number } | undefined): boolean
  tables(): Tables
  /** Changes whenever the rows of the table do. */
  version(table: string): number
}

const TEXTS = (image: string) => `(select json_object_agg(key, value) from json_each_text(${image}))`

/** To be called while nothing writes. */
export async function readHistory(query: Query, schema: Schema): Promise<History> {
  const steps = await query<Omit<Step, 'xid'> & { xid: string }>(
    `select xid::text, name, ${TEXTS('old')} as old, ${TEXTS('new')} as new from audit a order by a.id`,
  )
  const batches = await query<{ n: string; token: string; snapshot: string }>(
    'select n::text, token::text, snapshot::text from listenql.batch b order by b.n',
  )
  return createHistory(
    schema,
    steps.map(step => ({ ...step, xid: BigInt(step.xid) })),
    batches.map(({ n, token, snapshot }) => ({
      n: Number(n),
      token: Number(token),
      sees: readSnapshot(snapshot),
    })),
  )
}

/** `xmin:xmax:xip,xip`: the transactions before xmax that were not in progress. */
function readSnapshot(text: string): Batch['sees'] {
  const [, xmax = '', inProgress = ''] = text.split(':')
  const running = new Set(inProgress.split(','))
  return xid => xid < BigInt(xmax) && !running.has(String(xid))
}

function createHistory(schema: Schema, steps: readonly Step[], batches: readonly Batch[]): History {
  const rows = new Map(
    schema.tables.map(({ name }) => [name, new Map<string, { row: Row; count: number }>()]),
  )
  const versions = new Map<string, number>()
  let waiting = steps
  let next = 0
  let current: Batch | undefined

  function apply(sees: Batch['sees']): void {
    const touched = new Set<string>()
    waiting = waiting.filter(step => {
      if (!sees(step.xid)) return true
      touched.add(step.name)
      if (step.old) add(step.name, step.old, -1)
      if (step.new) add(step.name, step.new, 1)
      return false
    })
    for (const name of touched) {
      versions.set(name, (versions.get(name) ?? 0) + 1)
      for (const [image, { count }] of rows.get(name) ?? [])
        if (count < 0)
          throw new Error(`a snapshot has taken away a row of ${name} that it never had: ${image}`)
    }
  }

  function add(name: string, image: Row, by: number): void {
    const columns = schema.tables.find(table => table.name === name)?.columns ?? []
    const row = Object.fromEntries(
      columns.map(column => {
        const text = image[column.name] ?? null
        return [column.name, text === null ? null : shown(column, text)]
      }),
    )
    const key = JSON.stringify(row)
    const table = rows.get(name)
    const count = (table?.get(key)?.count ?? 0) + by
    if (count === 0) table?.delete(key)
    else table?.set(key, { row, count })
  }

  return {
    moveTo(to) {
      if (!to) {
        next = batches.length
        apply(() => true)
        return true
      }
      while ((current?.n ?? -1) < to.n && next < batches.length) {
        current = batches[next++] as Batch
        apply(current.sees)
      }
      return current?.n === to.n && current.token === to.token
    },
    tables: () =>
      new Map(
        [...rows].map(([name, table]) => [
          name,
          [...table.values()].flatMap(({ row, count }) => Array<Row>(count).fill(row)),
        ]),
      ),
    version: table => versions.get(table) ?? 0,
  }
}
