import type { ApolloClient, ObservableQuery } from '@apollo/client'
import type { ApolloCache } from '@apollo/client/cache'
import { CombinedGraphQLErrors } from '@apollo/client/errors'
import { type DocumentNode, Kind, visit } from 'graphql'
import { documentReads } from '../cache/document-reads.js'
import { isAway } from '../cache/is-away.js'
import type { LiveTables, Outdated, Request } from '../cache/live-tables.js'
import type { Reads } from '../cache/reads.js'
import type { RowChanges } from '../cache/row-changes.js'
import { fieldsShowing, type Tables } from '../cache/tables.js'
import { type CachedRows, evictAll, idsOf } from './cached-rows.js'

/** The context of the requests that the link itself makes. */
export const READ_AGAIN = { listenqlReadsAgain: true, queryDeduplication: false }

/** What reading again needs to know. */
interface ReadAgainOptions {
  readonly tables: Tables
  readonly live: LiveTables
  readonly rows: CachedRows
  /** How often it has failed in a row. */
  readonly failures: number
}

/** An active query that has been read again. */
interface Answer {
  readonly query: ObservableQuery
  readonly variables: ObservableQuery['variables']
  /** Undefined if it failed, so that Apollo Client has to decide what the component shows. */
  readonly data: unknown
  readonly missed: readonly RowChanges[]
}

/**
 * Reads again what an application shows at the moment, and writes all of it as one batch, in which the cache also forgets what depends
 * on the tables and is not shown: a component that shows it later reads it then. Until then, components keep what they show, without
 * a loading state.
 *
 * A query whose result has GraphQL errors becomes incomplete in the cache, so that Apollo Client itself fetches it, under the rules of
 * the query.
 *
 * @throws the error of a query that did not reach the server or, for a while, its database
 */
export async function readAgain(
  client: ApolloClient,
  outdated: Outdated,
  { tables, live, rows, failures }: ReadAgainOptions,
): Promise<void> {
  const fields = new Set(fieldsShowing(tables, ({ type }) => outdated.tables.has(type)))
  for (const type of outdated.tables) for (const field of live.seen.filteredBy(type)) fields.add(field)
  const shown: { readonly query: ObservableQuery; readonly reads: Reads }[] = []
  for (const query of client.getObservableQueries('active')) {
    if (query.options.fetchPolicy === 'no-cache') continue
    const reads = documentReads(query.query, query.variables, tables)
    if (
      [...reads.types].some(type => outdated.tables.has(type)) ||
      [...reads.fields].some(f => fields.has(f))
    )
      shown.push({ query, reads })
  }
  const requests = shown.map(({ reads }) => live.sent(reads))
  try {
    const answers = await Promise.all(
      shown.map(({ query }, i) => ask(client, query, requests[i] as Request, failures)),
    )
    write(client.cache, tables, outdated, fields, answers, rows)
  } finally {
    for (const request of requests) request.ended()
  }
}

async function ask(
  client: ApolloClient,
  query: ObservableQuery,
  request: Request,
  failures: number,
): Promise<Answer> {
  const { variables } = query
  const { context, errorPolicy } = query.options
  const { data, error } = await client
    .query({
      query: unmasked(query.query),
      variables,
      fetchPolicy: 'no-cache',
      ...(errorPolicy && { errorPolicy }),
      context: { ...context, ...READ_AGAIN },
    })
    .catch((reason: unknown) => {
      if (!CombinedGraphQLErrors.is(reason)) throw reason
      return { data: undefined, error: reason }
    })
  if (CombinedGraphQLErrors.is(error) && isAway(error.errors, failures)) throw error
  return {
    query,
    variables,
    data: error && errorPolicy !== 'ignore' ? undefined : data,
    missed: request.received(undefined),
  }
}

function write(
  cache: ApolloCache,
  tables: Tables,
  { lost }: Outdated,
  fields: ReadonlySet<string>,
  answers: readonly Answer[],
  rows: CachedRows,
): void {
  cache.batch({
    optimistic: false,
    update(root) {
      for (const type of lost) evictAll(root, type)
      for (const field of fields) {
        const [type = '', fieldName = ''] = field.split('.')
        const ids = type === tables.query ? ['ROOT_QUERY'] : idsOf(root, type)
        for (const id of ids) root.evict({ id, fieldName, broadcast: false })
      }
      for (const { query, variables, data } of answers)
        if (data) root.writeQuery({ query: query.query, variables, data: data as object, broadcast: false })
      rows.write(
        root,
        answers.flatMap(({ missed }) => missed),
      )
    },
  })
  cache.gc()
}

/** With data masking, the result would lack the fields of fragments. */
function unmasked(document: DocumentNode): DocumentNode {
  return visit(document, {
    FragmentSpread: node => ({
      ...node,
      directives: [
        ...(node.directives ?? []).filter(({ name }) => name.value !== 'unmask'),
        { kind: Kind.DIRECTIVE, name: { kind: Kind.NAME, value: 'unmask' } },
      ],
    }),
  })
}
