import type { ClientBase } from 'pg'
import type { World } from './world.js'

interface Row {
  readonly topic: string
  readonly operation: string
  readonly old: string | null
  readonly new: string | null
  readonly statement: number
}

/** The rows that a subscriber of each table would have, built from events alone. */
export interface Replica {
  /** Reads the present rows: a snapshot. */
  reload(): Promise<void>
  /**
   * Applies the events that this transaction has logged so far to the rows at its beginning, and compares the result with the
   * tables. @returns the difference; undefined if there is none
   */
  check(): Promise<string | undefined>
  /** The events of this transaction, one per line. */
  events(): Promise<string[]>
  /** Called when the transaction has ended. With `committed`, its events count from now on. */
  ended(committed: boolean): void
}

type Tables = ReadonlyMap<string, ReadonlyMap<string, string>>

/** @param client the connection that runs the commands, as the owner of schema listenql: no other session sees its events yet */
export async function createReplica(client: ClientBase, world: World): Promise<Replica> {
  const names = Object.keys(world.tables)
  const topics = new Map<string, string>()
  for (const name of names) {
    const { rows } = await client.query<{ oid: string }>(`select $1::regclass::oid::text as oid`, [name])
    topics.set(String(rows[0]?.oid), name)
  }
  let base: Tables = new Map()
  let now: Tables = base

  const keyOf = (name: string, image: string): string => {
    const row = JSON.parse(image) as Record<string, unknown>
    return (world.tables[name] as readonly string[]).map(column => String(row[column])).join(',')
  }

  async function read(): Promise<Tables> {
    const tables = new Map<string, Map<string, string>>()
    for (const name of names) {
      const { rows } = await client.query<{ image: string }>(
        `select row_to_json(x)::text as image from ${name} x`,
      )
      tables.set(name, new Map(rows.map(({ image }) => [keyOf(name, image), image])))
    }
    return tables
  }

  async function logged(): Promise<Row[]> {
    const { rows } = await client.query<Row>(
      `select e.topic, coalesce(u.operation, e.operation)::text as operation, case when e.operation = 'P' then u.old else e.old end as old,
         case when e.operation = 'P' then u.new else e.new end as new, e.statement
       from listenql.event e left join lateral listenql.unpacked(e.old, e.new) u on e.operation = 'P'
       where e.xid = pg_current_xact_id_if_assigned() and e.kind = 't' order by e.statement, e.id, u.place`,
    )
    return rows
  }

  const show = ({ topic, operation, old, new: now, statement }: Row) =>
    `${statement} ${topics.get(topic) ?? topic} ${operation} ${old ?? ''} -> ${now ?? ''}`

  function apply(rows: readonly Row[]): { tables: Tables; problem: string | undefined } {
    const tables = new Map([...base].map(([name, held]) => [name, new Map(held)]))
    for (const row of rows) {
      const name = topics.get(row.topic)
      const held = name === undefined ? undefined : tables.get(name)
      if (name === undefined || !held)
        return { tables, problem: `an event of a table that is not watched: ${show(row)}` }
      if (row.operation === 'T') held.clear()
      else {
        const image = row.new ?? row.old
        if (image === null) return { tables, problem: `an event without images: ${show(row)}` }
        const key = keyOf(name, image)
        if (row.old !== null && row.new !== null && keyOf(name, row.old) !== key)
          return { tables, problem: `an UPDATE of two keys: ${show(row)}` }
        const before = held.get(key) ?? null
        if (before !== row.old)
          return { tables, problem: `the row was ${before ?? 'not there'} before: ${show(row)}` }
        if (row.new === null) held.delete(key)
        else held.set(key, row.new)
      }
    }
    return { tables, problem: undefined }
  }

  return {
    async reload() {
      base = await read()
      now = base
    },
    async check() {
      const { tables, problem } = apply(await logged())
      now = tables
      if (problem !== undefined) return problem
      const actual = await read()
      for (const name of names) {
        const [had, is] = [tables.get(name), actual.get(name)] as const
        const keys = new Set([...(had?.keys() ?? []), ...(is?.keys() ?? [])])
        for (const key of keys) {
          if (had?.get(key) !== is?.get(key))
            return `${name} ${key}: events say ${had?.get(key) ?? 'no row'}, the table has ${is?.get(key) ?? 'no row'}`
        }
      }
      return undefined
    },
    events: async () => (await logged()).map(show),
    ended(committed) {
      if (committed) base = now
    },
  }
}
