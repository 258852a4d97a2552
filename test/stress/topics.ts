import type { Position } from '../../src/log/position.js'
import { positionOf } from './positions.js'

export type Row = Readonly<Record<string, unknown>>

/** An event as a client received it, from a table or a channel. */
export interface Seen {
  readonly cursor: string
  readonly position: Position
  /** I, U, D, T; N for a published event. */
  readonly operation: string
  /** Null for TRUNCATE. */
  readonly key: string | null
  readonly row: Row | null
  readonly old: Row | null
  readonly transaction: string
  /** Its name in the audit table: operation, key, version after, version before, transaction. */
  readonly name: string
}

/** A filter, in GraphQL and as a function of this test, and the operations. */
export interface View {
  readonly name: string
  readonly where?: Readonly<Record<string, unknown>>
  readonly matches: (row: Row) => boolean
  /** Letters of the operations; undefined: all. */
  readonly operations?: readonly string[]
}

/** A table or a channel that clients follow. */
export interface TopicSpec {
  readonly name: string
  readonly subscription: string
  /** Undefined for a channel: it has no rows. */
  readonly snapshot?: string
  /** The rows and their changes in one subscription; undefined for a channel. */
  readonly changes?: string
  /** SQL that returns the final rows, one JSON text per row, with the names of GraphQL. */
  readonly rowsSql?: string
  /** Undefined for a gap, which is not an event of the log. */
  read(data: Row): Seen | undefined
  keyOf(row: Row): string
  readonly views: readonly View[]
}

export const ALL: View = { name: 'all', matches: () => true }

const LETTERS = { INSERT: 'I', UPDATE: 'U', DELETE: 'D', TRUNCATE: 'T' } as const

export function nameOf(event: Pick<Seen, 'operation' | 'key' | 'row' | 'old' | 'transaction'>): string {
  const { operation, key, row, old, transaction } = event
  return `${operation} ${key ?? '-'} ${row?.version ?? '-'} ${old?.version ?? '-'} in ${transaction}`
}

function tableSpec(
  spec: Pick<TopicSpec, 'name' | 'rowsSql' | 'keyOf' | 'views'> & {
    readonly fields: string
    readonly filter: string
    readonly key: string
  },
): TopicSpec {
  const { name, fields, filter, key, keyOf } = spec
  return {
    ...spec,
    subscription: `subscription ($where: ${filter}, $operations: [Operation!], $after: String) {
      it: ${name}Changed(where: $where, operations: $operations, after: $after) {
        operation cursor row { ${fields} } old { ${fields} } transaction
      } }`,
    snapshot: `query ($where: ${filter}) {
      it: ${name}(where: $where, limit: 10000) { cursor rows { ${fields} } } }`,
    changes: `subscription ($where: ${filter}) {
      it: ${name}Changed(initial: true, where: $where) { operation key { ${key} } row { ${fields} } transaction } }`,
    read(data) {
      const { operation, cursor, row, old, transaction } = data as {
        operation: keyof typeof LETTERS
        cursor: string
        row: Row | null
        old: Row | null
        transaction: string
      }
      const image = row ?? old
      const event = { operation: LETTERS[operation], key: image && keyOf(image), row, old, transaction }
      return { ...event, cursor, position: positionOf(cursor), name: nameOf(event) }
    },
  }
}

function channelSpec(name: string): TopicSpec {
  return {
    name,
    subscription: `subscription ($after: String) { it: channel(name: "${name}", after: $after) { json cursor gap } }`,
    read({ json, cursor, gap }) {
      if (gap === true) return undefined
      const { id, xid } = json as { id: number; xid: string }
      const event = { operation: 'N', key: String(id), row: null, old: null, transaction: xid }
      const at = cursor as string
      return { ...event, cursor: at, position: positionOf(at), name: nameOf(event) }
    },
    keyOf: row => String(row.id),
    views: [ALL],
  }
}

const score = (row: Row) => (row.score === null ? Number.NaN : Number(row.score))

export const PEOPLE = tableSpec({
  name: 'people',
  filter: 'PeopleFilter',
  key: 'pk',
  fields: 'pk name team score version',
  rowsSql: `select json_build_object('pk', pk, 'name', name, 'team', team, 'score', score::text, 'version', version)::text as row from people`,
  keyOf: row => String(row.pk),
  views: [
    ALL,
    { name: 'team 3', where: { team: { eq: 3 } }, matches: row => row.team === 3 },
    {
      name: 'teams 1 and 2 above 40',
      where: { team: { in: [1, 2] }, score: { gt: '40' } },
      matches: row => (row.team === 1 || row.team === 2) && score(row) > 40,
    },
    {
      name: 'an early name, or no low team',
      where: { or: [{ name: { lt: 'h' } }, { not: { team: { lt: 5 } } }] },
      matches: row => String(row.name) < 'h' || !(Number(row.team) < 5),
    },
    { name: 'without score', where: { score: { isNull: true } }, matches: row => row.score === null },
    { name: 'what goes', matches: () => true, operations: ['D', 'T'] },
  ],
})

export const ORDERS = tableSpec({
  name: 'orders',
  filter: 'OrdersFilter',
  key: 'shop no',
  fields: 'shop no state amount version',
  rowsSql: `select json_build_object('shop', shop, 'no', no, 'state', state, 'amount', amount::text, 'version', version)::text as row from orders`,
  keyOf: row => `${row.shop}/${row.no}`,
  views: [
    ALL,
    { name: 'open', where: { state: { eq: 'open' } }, matches: row => row.state === 'open' },
    {
      name: 'large ones of the north',
      where: { and: [{ shop: { eq: 'north' } }, { amount: { gte: '100.00' } }] },
      matches: row => row.shop === 'north' && Number(row.amount) >= 100,
    },
    {
      name: 'writes that are not of the south',
      where: { shop: { neq: 'south' } },
      matches: row => row.shop !== 'south',
      operations: ['I', 'U'],
    },
  ],
})

export const NEWS = channelSpec('news')
/** Events are published on it so rarely that clients resume with positions from keep-alives. */
export const RARE = channelSpec('rare')

export const TOPICS = [PEOPLE, ORDERS, NEWS, RARE] as const

/** The event as a view shows it: nothing, or the row only if it matches. */
export function show(view: View, event: Seen): Seen | undefined {
  if (view.operations && !view.operations.includes(event.operation)) return undefined
  if (event.operation === 'T' || event.operation === 'N') return event
  const row = event.row && view.matches(event.row) ? event.row : null
  if (!row && !(event.old && view.matches(event.old))) return undefined
  if (row === event.row) return event
  return { ...event, row, name: nameOf({ ...event, row }) }
}

/** Updates a list with the one rule that the documentation gives to clients. */
export function apply(rows: Map<string, string>, { operation, key, row }: Seen): void {
  if (operation === 'T') rows.clear()
  else if (key === null || operation === 'N') return
  else if (row) rows.set(key, JSON.stringify(row))
  else rows.delete(key)
}
