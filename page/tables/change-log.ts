import { createLiveStore, type LiveStore } from '../../src/client/store/live-store.js'
import { isPassingError } from '../../src/client/subscription/is-passing-error.js'
import { createKeptSubscription } from '../../src/client/subscription/kept-subscription.js'
import type { SubscribingClient } from '../../src/client/subscription/subscribing-client.js'
import type { Row } from './watched-table.js'

/** Names that no column has: names in GraphQL contain no space. */
export const LOG_FIELDS = { id: ' id', at: ' at', change: ' change', note: ' note' } as const

/** The last changes of a table. */
export interface ChangeLog {
  /** The newest first: the values of the row with the fields of LOG_FIELDS. */
  readonly rows: readonly Row[]
}

interface Change {
  readonly operation: string
  readonly at: string
  readonly row: Row | null
  readonly old: Row | null
}

const WORDS: Readonly<Record<string, string>> = {
  INSERT: 'inserted',
  UPDATE: 'updated',
  DELETE: 'deleted',
  TRUNCATE: 'emptied',
}
const MAX_ROWS = 200
export const MISSED = 'Changes may have been missed here.'

/**
 * A store of the last changes of a table without a key, where a change cannot be matched to its row. After a lost connection the client
 * resumes, so that no change is missed; where it cannot, a note stands between the changes.
 */
export function changeLog(client: SubscribingClient, query: string): LiveStore<ChangeLog> {
  let rows: readonly Row[] = []
  let count = 0
  let isAccepted = false
  const add = (row: Row) => {
    rows = [{ ...row, [LOG_FIELDS.id]: String(++count) }, ...rows].slice(0, MAX_ROWS)
    owned.changed()
  }
  const note = (text: string) => add({ [LOG_FIELDS.note]: text })
  const owned = createLiveStore<ChangeLog>({
    empty: { rows },
    contents: () => (isAccepted ? { rows } : undefined),
    open(status) {
      let isLive = false
      const subscription = createKeptSubscription<Readonly<Record<string, Change | null>>>(
        client,
        { query },
        {
          starting() {
            isLive = false
          },
          accepted() {
            isLive = true
            isAccepted = true
          },
          next({ data, errors = [] }) {
            const change = Object.values(data ?? {})[0]
            if (change) add(rowOf(change))
            else if (errors[0]?.extensions?.code === 'EVENT_TOO_LARGE') note(errors[0].message)
            else subscription.fail(errors)
          },
          ending: () => isAccepted && note(MISSED),
          state: () => (isLive ? 'live' : isAccepted ? 'catching-up' : 'loading'),
          isPassing: isPassingError,
          status,
        },
      )
      return { refetch: subscription.restart, dispose: subscription.dispose }
    },
  })
  return owned.store
}

function rowOf({ operation, at, row, old }: Change): Row {
  return { ...(row ?? old), [LOG_FIELDS.at]: at, [LOG_FIELDS.change]: WORDS[operation] ?? operation }
}
