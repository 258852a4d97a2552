import type { Table, TableField, Tables } from './tables.js'

/** A type as the introspection describes it where a field or an argument refers to it. */
export interface IntrospectedTypeRef {
  /** Such as `OBJECT`, `LIST` or `NON_NULL`. */
  readonly kind: string
  /** Null for lists and non-null types. */
  readonly name?: string | null
  /** The type in the list, or that is not null. */
  readonly ofType?: IntrospectedTypeRef | null
}

/** The part of an introspection result that is read here; one that `@urql/introspection` has minified has it too. */
export interface Introspection {
  /** As `getIntrospectionQuery` of graphql asks for it. */
  readonly __schema: {
    readonly queryType: { readonly name: string }
    readonly subscriptionType?: { readonly name: string } | null
    readonly types: readonly {
      readonly kind: string
      readonly name: string
      readonly fields?: readonly { readonly name: string; readonly type: IntrospectedTypeRef }[] | null
    }[]
  }
}

/** Settings of `tablesOf`. */
export interface TablesOptions {
  /**
   * The columns that changes deliver, by the type of the rows, where not all of them may be read, or are needed: `{ People: ['name'] }`.
   * The primary key comes by itself. Default: all columns.
   */
  readonly columns?: Readonly<Record<string, readonly string[]>>
}

type Fields = ReadonlyMap<string, IntrospectedTypeRef>

/**
 * Finds the watched tables in the result of an introspection query: their types, keys, columns and links.
 *
 * @param introspection `data` of the introspection query; that of a schema in SDL is `introspectionFromSchema(buildSchema(sdl))` of graphql
 * @throws TypeError if it is no introspection result, the schema has no watched table, or `columns` names a type or column that does not exist
 */
export function tablesOf(introspection: Introspection, { columns = {} }: TablesOptions = {}): Tables {
  // Without introspection, `data` of the answer is missing.
  const schema = (introspection as Introspection | null | undefined)?.__schema
  if (!schema)
    throw new TypeError(
      'no introspection result: pass `data` of the answer. A server whose viewers have roles answers with --introspection only; or pass introspectionFromSchema(buildSchema(…)) of what npx listenql schema prints',
    )
  const objects = new Map<string, Fields>()
  for (const { kind, name, fields } of schema.types)
    if (kind === 'OBJECT') objects.set(name, new Map(fields?.map(field => [field.name, field.type])))
  const changes = changesIn(objects, schema.subscriptionType?.name)
  if (changes.size === 0) throw new TypeError('the schema has no watched table: npx listenql watch TABLE')
  const fieldsOf = (type: string) => objects.get(type) ?? new Map()
  const links = (type: string) => linksIn(fieldsOf(type), changes, objects)
  const rows = Object.fromEntries(
    [...changes].map(([type, change]): [string, Table] => {
      const all = [...fieldsOf(type)].filter(([, ref]) => !objects.has(namedType(ref))).map(([name]) => name)
      const delivered = columns[type]
      const unknown = delivered?.find(name => !all.includes(name))
      if (unknown !== undefined)
        throw new TypeError(`columns: ${type} has no column ${unknown}; it has ${all.join(', ')}`)
      const wanted = new Set([...change.key, ...(delivered ?? all)])
      return [type, { ...change, columns: all.filter(name => wanted.has(name)), links: links(type) }]
    }),
  )
  const stranger = Object.keys(columns).find(type => !changes.has(type))
  if (stranger !== undefined)
    throw new TypeError(
      `columns: ${stranger} is not a watched table; there are ${Object.keys(rows).join(', ')}`,
    )
  const query = schema.queryType.name
  const roots = links(query)
  return { rows, query, roots, embedded: embeddedIn(objects, { rows, query, roots }) }
}

type Change = Pick<Table, 'changes' | 'change' | 'key'>

/** Finds the fields of Subscription that deliver changes, by the type of the rows. */
function changesIn(objects: ReadonlyMap<string, Fields>, subscription = ''): Map<string, Change> {
  const found = new Map<string, Change>()
  for (const [changes, ref] of objects.get(subscription) ?? []) {
    const change = namedType(ref)
    const fields = objects.get(change)
    const row = fields?.get('row')
    if (!fields?.has('operation') || !fields.has('transaction') || !row) continue
    const key = fields.get('key')
    const columns = key ? [...(objects.get(namedType(key))?.keys() ?? [])] : []
    found.set(namedType(row), { changes, change, key: columns })
  }
  return found
}

function linksIn(
  fields: Fields,
  changes: ReadonlyMap<string, unknown>,
  objects: ReadonlyMap<string, Fields>,
): Record<string, TableField> {
  const links: Record<string, TableField> = {}
  for (const [name, ref] of fields) {
    const type = namedType(ref)
    const rows = objects.get(type)?.get('rows')
    const aggregated = /^(.+)Aggregate(_\d+)?$/.exec(type)?.[1]
    if (changes.has(type)) links[name] = { type, shows: isList(ref) ? 'rows' : 'row' }
    else if (rows && changes.has(namedType(rows))) links[name] = { type: namedType(rows), shows: 'snapshot' }
    else if (aggregated !== undefined && changes.has(aggregated))
      links[name] = { type: aggregated, shows: 'aggregate' }
  }
  return links
}

/** Finds the types that come with rows, but are not rows. */
function embeddedIn(objects: ReadonlyMap<string, Fields>, { rows, query, roots }: Omit<Tables, 'embedded'>) {
  const found = new Set<string>()
  const visit = (type: string) => {
    if (type in rows || found.has(type) || !objects.has(type)) return
    found.add(type)
    for (const ref of objects.get(type)?.values() ?? []) visit(namedType(ref))
  }
  const holders = Object.entries(rows).map(([type, { links }]) => [type, links] as const)
  for (const { change } of Object.values(rows)) visit(change)
  for (const [type, links] of [...holders, [query, roots] as const])
    for (const [name, { shows }] of Object.entries(links)) {
      const ref = objects.get(type)?.get(name)
      if (ref && (shows === 'snapshot' || shows === 'aggregate')) visit(namedType(ref))
    }
  return [...found].sort()
}

function namedType(ref: IntrospectedTypeRef): string {
  return ref.ofType ? namedType(ref.ofType) : (ref.name ?? '')
}

function isList(ref: IntrospectedTypeRef): boolean {
  return ref.kind === 'LIST' || (ref.ofType ? isList(ref.ofType) : false)
}
