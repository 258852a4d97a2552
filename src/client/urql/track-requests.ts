import type { ExchangeIO, Operation, OperationResult } from '@urql/core'
import type { DocumentNode } from 'graphql'
import { empty, fromArray, fromValue, makeSubject, merge, mergeMap, pipe, type Source, tap } from 'wonka'
import { documentReads } from '../cache/document-reads.js'
import { isAway } from '../cache/is-away.js'
import type { LiveTables, Request } from '../cache/live-tables.js'
import type { Reads } from '../cache/reads.js'
import { resultPosition } from '../cache/result-position.js'
import type { RowChanges } from '../cache/row-changes.js'
import type { Tables } from '../cache/tables.js'
import { createBackoff } from '../connection/backoff.js'

/** What is done with the requests between graphcache and the network. */
export interface TrackedRequests {
  readonly tables: Tables
  readonly live: LiveTables
  /** Returns a result that writes changes which the result before it may lack. */
  readonly missed: (changes: readonly RowChanges[]) => OperationResult
}

/** A query or mutation on its way. */
interface OnItsWay {
  readonly request: Request
  /** Undefined for a mutation. */
  readonly reads: Reads | undefined
  /** How often it is on its way: graphcache may send it again before the first result. */
  count: number
  readonly backoff: ReturnType<typeof createBackoff>
  failures: number
}

/** The requests between graphcache and the network. */
export interface RequestTracker {
  readonly forward: ExchangeIO
  /** Resolves once no query with such reads is on its way. */
  settled(isMeant: (reads: Reads) => boolean): Promise<void>
  /** Sends the queries again that show an error: graphcache does not know what they would show. */
  retry(isMeant: (reads: Reads) => boolean): void
}

/**
 * Reports requests and their results. A query that is shown and read again does not show an error if it cannot reach the server or, for
 * a while, its database: it is sent again, after a pause.
 */
export function trackRequests(
  forward: ExchangeIO,
  { tables, live, missed }: TrackedRequests,
): RequestTracker {
  const onTheirWay = new Map<number, OnItsWay>()
  /** The queries that have shown a result and are still shown. */
  const shown = new Set<number>()
  /** The queries that show an error. */
  const failed = new Map<number, { readonly operation: Operation; readonly reads: Reads }>()
  const repeated = makeSubject<Operation>()
  /** Called, and forgotten, when a request ends. */
  const onEnd: (() => void)[] = []

  function sent({ key, kind, query, variables }: Operation): void {
    if (kind === 'teardown') {
      shown.delete(key)
      failed.delete(key)
      end(key)
    } else if (kind !== 'subscription') {
      const known = onTheirWay.get(key)
      if (known) return void known.count++
      const reads =
        kind === 'query' ? documentReads(query as DocumentNode, variables ?? undefined, tables) : undefined
      if (reads?.types.size === 0) return
      onTheirWay.set(key, {
        request: live.sent(reads),
        reads,
        count: 1,
        backoff: createBackoff(),
        failures: 0,
      })
    }
  }
  function end(key: number): void {
    const one = onTheirWay.get(key)
    onTheirWay.delete(key)
    one?.request.ended()
    one?.backoff.cancel()
    for (const wake of onEnd.splice(0)) wake()
  }
  function received(result: OperationResult): Source<OperationResult> {
    const { operation, data, error } = result
    const { key } = operation
    const one = onTheirWay.get(key)
    if (!one) return fromValue(result)
    one.count--
    const isUnanswered = error?.networkError || isAway(error?.graphQLErrors, one.failures)
    if (isUnanswered && operation.kind === 'query' && shown.has(key)) {
      if (one.count === 0) void repeat(operation, one)
      return empty as Source<OperationResult>
    }
    const changes = one.request.received(resultPosition(operation.query as DocumentNode, data, tables))
    const results = changes.length > 0 ? [result, missed([...changes])] : [result]
    if (one.count === 0) end(key)
    failed.delete(key)
    if (error && one.reads) failed.set(key, { operation, reads: one.reads })
    if (data && operation.kind === 'query') shown.add(key)
    return fromArray(results)
  }
  async function repeat(operation: Operation, one: OnItsWay): Promise<void> {
    await one.backoff.wait(one.failures++)
    if (one.count === 0 && onTheirWay.get(operation.key) === one) repeated.next(operation)
  }
  return {
    forward: operations =>
      pipe(
        merge([operations, repeated.source]),
        tap(sent),
        forward,
        mergeMap<OperationResult, OperationResult>(received),
      ),
    async settled(isMeant) {
      while ([...onTheirWay.values()].some(({ reads }) => reads && isMeant(reads)))
        await new Promise<void>(wake => onEnd.push(wake))
    },
    retry(isMeant) {
      for (const [key, { operation, reads }] of [...failed])
        if (!onTheirWay.has(key) && isMeant(reads)) repeated.next(operation)
    },
  }
}
