import { createTransactionBatches, WITH_MARKS } from '../rows/transaction-batches.js'
import { isPassingError } from '../subscription/is-passing-error.js'
import { createKeptSubscription } from '../subscription/kept-subscription.js'
import type { SubscribingClient } from '../subscription/subscribing-client.js'
import type { SubscriptionError } from '../subscription/subscription-error.js'
import type { RowChange } from './row-changes.js'
import type { Table } from './tables.js'

/** Gets what a table feed receives. */
export interface TableFeedListener {
  /** The changes of one transaction; a large one arrives in parts. */
  changes(changes: readonly RowChange[]): void
  /** Changes may have been missed: what was read of the table before this call may be out of date, and what is read from now on is not. */
  lost(): void
  /** The feed has ended with an error after which subscribing again would not help. */
  failed(error: SubscriptionError): void
}

/** The changes of one table. */
export interface TableFeed {
  close(): void
}

/** A transaction with more changes is delivered in parts of so many. */
const MAX_CHANGES = 1_000
/** Errors in place of one change, after which the stream continues. */
const OF_ONE_CHANGE: ReadonlySet<unknown> = new Set(['EVENT_TOO_LARGE', 'VALUE_NOT_SHOWN'])

/**
 * Follows the changes of a table, all of them and without its rows. A lost connection loses nothing.
 *
 * @param after the cursor of a result, so that no change after that result is missed. Undefined: `lost` is called once changes arrive
 */
export function createTableFeed(
  client: SubscribingClient,
  table: Table,
  after: string | undefined,
  listener: TableFeedListener,
): TableFeed {
  let start = after
  let isAccepted = false
  let isClosed = false
  /** Whether the next acceptance leaves a hole. */
  let hasHole = after === undefined
  const batches = createTransactionBatches<RowChange>({
    transactionOf: ({ transaction }) => transaction,
    maxChanges: MAX_CHANGES,
    deliver: changes => listener.changes(changes),
  })
  const payload = {
    query: changesDocument(table),
    get extensions() {
      return start === undefined ? WITH_MARKS : { ...WITH_MARKS, after: start }
    },
  }
  const subscription = createKeptSubscription<Record<string, RowChange | null>>(client, payload, {
    starting() {
      batches.discard()
      isAccepted = false
    },
    next(result) {
      if (batches.takeMark(result)) return
      const { data, errors = [] } = result
      const change = data?.[table.changes]
      if (change && !errors.some(({ path }) => path?.[1] === 'key')) return batches.take(change)
      const [{ extensions } = {}] = errors
      if (!OF_ONE_CHANGE.has(extensions?.code)) return subscription.fail(errors)
      batches.flush()
      if (!isClosed) listener.lost()
    },
    ending() {
      batches.discard()
      start = undefined
      hasHole = true
    },
    interrupted: batches.interrupted,
    accepted() {
      isAccepted = true
      if (hasHole && !isClosed) listener.lost()
      hasHole = false
    },
    state: () => (isAccepted ? 'live' : 'loading'),
    isPassing: isPassingError,
    status({ state, error }) {
      if (state === 'failed' && error) listener.failed(error)
    },
  })
  return {
    close() {
      isClosed = true
      batches.discard()
      subscription.dispose()
    },
  }
}

function changesDocument({ changes, key, columns }: Table): string {
  const of = (field: string, names: readonly string[]) =>
    names.length > 0 ? `${field} { ${names.join(' ')} }` : ''
  return `subscription { ${changes} { operation ${of('key', key)} ${of('row', columns)} ${of('old', columns)} transaction } }`
}
