import { type ExecutionResult, execute, type GraphQLSchema, parse, subscribe, validate } from 'graphql'
import type { SchemaContext } from '../../schema/context.js'
import { createChannelRules } from '../../src/auth/channel-rules.js'
import { ANONYMOUS } from '../../src/auth/viewer.js'
import type { TableColumn, WatchedTable } from '../../src/catalog/watched-table.js'
import { createImageReader, type RowImage } from '../../src/filters/index.js'
import { endOfBatch } from '../../src/log/position.js'
import type { RowsNode } from '../../src/plan/plan.js'
import { usedColumns } from '../../src/plan/used-columns.js'
import type { TypeCategory } from '../../src/postgres/types.js'
import { EventSource, type Topic } from '../../src/sources/source.js'
import type { ChangesRequest } from '../../src/sources/tables/changes-request.js'
import type { RowChange } from '../../src/sources/tables/row-change.js'

/** Returns a column as the catalogue would show it. */
export function column(
  name: string,
  category: TypeCategory = 'text',
  more: Partial<TableColumn> = {},
): TableColumn {
  return {
    name,
    number: 0,
    category,
    baseType: category,
    typeName: category,
    typeOid: 0,
    isArray: false,
    notNull: false,
    comment: null,
    ...more,
  }
}

/** Returns a table of schema public as the catalogue would show it. */
export function table(
  name: string,
  columns: readonly TableColumn[] = [column('id', 'int4', { notNull: true })],
  more: Partial<WatchedTable> = {},
): WatchedTable {
  return {
    relid: name,
    schema: 'public',
    name,
    comment: null,
    columns,
    key: columns[0]?.notNull ? [columns[0].name] : [],
    generation: 1,
    wholeFrom: 1,
    since: { n: 0, token: 0 },
    readable: true,
    ...more,
  }
}

/** Returns the image of a row, from its JSON in the event log. */
export function image(of: WatchedTable, json: string): RowImage {
  return createImageReader(of.columns)(json)
}

export function change(operation: RowChange['operation'], more: Partial<RowChange> = {}): RowChange {
  return {
    operation,
    position: endOfBatch({ n: 1, token: 1 }),
    cursor: 'cursor',
    key: null,
    row: null,
    old: null,
    at: new Date(0),
    transaction: '4294967297',
    ...more,
  }
}

/** Creates a context that returns these changes and rows, and records the requests. */
export function createFakeContext(
  answers: { changes?: readonly RowChange[]; rows?: readonly RowImage[] } = {},
) {
  const asked = {
    changes: [] as (ChangesRequest & { table: string })[],
    snapshots: [] as (Omit<RowsNode, 'table'> & { table: string; used: readonly string[] })[],
    channels: [] as (readonly [string, string | undefined])[],
  }
  const context: SchemaContext = {
    viewer: ANONYMOUS,
    rules: createChannelRules(['*'], []),
    channelSource(name, after) {
      asked.channels.push([name, after])
      return source('channel', [])
    },
    tableChanges(of, request) {
      asked.changes.push({ table: of.name, ...request })
      return source('table', answers.changes ?? [])
    },
    async read(plan) {
      const { table: of, ...root } = plan.root as RowsNode
      asked.snapshots.push({ ...root, table: of.name, used: usedColumns(plan).get(of.relid) ?? [] })
      return {
        cursor: 'start',
        position: { n: 0, token: 0, ord: 0, statement: 0, id: 0 },
        rows: answers.rows ?? [],
        duration: 0,
      }
    },
    live: () => source('table', []),
    notify: async () => {},
  }
  return { context, asked }
}

function source<Event>(kind: Topic['kind'], events: readonly Event[]): EventSource<Event> {
  return new EventSource<Event>(
    { kind, name: 'fake' },
    {
      async open(follower) {
        for (const event of events) follower.event(event)
        return () => {}
      },
      live: async () => {},
      positionOf: event => (event as Partial<RowChange>).position,
    },
  )
}

/** Executes a query; an invalid query returns its validation errors. */
export async function ask(
  schema: GraphQLSchema,
  contextValue: SchemaContext,
  source: string,
  variableValues: Record<string, unknown> = {},
): Promise<ExecutionResult> {
  const document = parse(source)
  const errors = validate(schema, document)
  return errors.length > 0
    ? { errors }
    : plain(await execute({ schema, document, contextValue, variableValues }))
}

/** Executes a subscription, and returns its first results. */
export async function listen(
  schema: GraphQLSchema,
  contextValue: SchemaContext,
  source: string,
  count: number,
  variableValues: Record<string, unknown> = {},
): Promise<ExecutionResult[]> {
  const document = parse(source)
  const errors = validate(schema, document)
  if (errors.length > 0) return [{ errors }]
  const results = await subscribe({ schema, document, contextValue, variableValues })
  if (!(Symbol.asyncIterator in results)) return [plain(results)]
  const all: ExecutionResult[] = []
  while (all.length < count) {
    const { value, done } = await results.next()
    if (done) break
    all.push(plain(value))
  }
  await results.return()
  return all
}

/** graphql-js creates objects without a prototype. */
function plain(result: ExecutionResult): ExecutionResult {
  return result.data ? { ...result, data: JSON.parse(JSON.stringify(result.data)) } : result
}
