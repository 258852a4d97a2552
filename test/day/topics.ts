/** A row as the documents select it. */
export type Row = Readonly<Record<string, unknown>> & { readonly id: number; readonly version: number }

export interface Change {
  readonly operation: string
  readonly cursor: string
  readonly key: { readonly id: number } | null
  readonly row: Row | null
  readonly old: { readonly version: number } | null
}

/** What a client follows, with `it` as the alias of the field. */
export interface Topic {
  readonly name: string
  readonly subscription: string
  /** Undefined: there are no rows, as in a channel. */
  readonly rows?: { readonly snapshot: string; readonly changes: string; readonly sql: string }
}

function table(name: string, columns: string, sqlColumns = columns): Topic {
  const change = `operation key { id } row { ${columns} }`
  return {
    name,
    subscription: `subscription ($after: String) { it: ${name}Changed(after: $after) { cursor ${change} old { version } } }`,
    rows: {
      snapshot: `{ it: ${name}(limit: 10000) { cursor rows { ${columns} } } }`,
      changes: `subscription { it: ${name}Changed(initial: true) { ${change} transaction } }`,
      sql: `select row_to_json(t)::text as row from (select ${sqlColumns.split(' ').join(', ')} from ${name}) t order by id`,
    },
  }
}

export const ORDERS = table(
  'orders',
  'id branch state amount version',
  'id branch state amount::text version',
)
export const PRODUCTS = table('products', 'id name stock version')
export const NEWS: Topic = {
  name: 'news',
  subscription:
    'subscription ($after: String) { it: channel(name: "news", after: $after) { payload cursor } }',
}

/** The name of an event, as the table `audit` has it. Undefined: the event is a gap. */
export function nameOf(event: Partial<Change> & { readonly payload?: string | null }): string | undefined {
  if ('payload' in event) return event.payload ?? undefined
  return `${event.operation} ${event.key?.id} ${(event.row ?? event.old)?.version}`
}
