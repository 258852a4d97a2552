import { useMemo, useState } from 'react'
import { type Document, textOf } from '../document.js'
import { type LiveRowsOptions, liveRows, type RowOf, type RowsContents } from '../rows/live-rows.js'
import { type HookOptions, type LiveResult, useLiveStore } from './use-live-store.js'

/** Options of `useLiveRows`. */
export type UseLiveRowsOptions<Data, Variables> = HookOptions &
  Omit<LiveRowsOptions<Data, Variables>, 'changes' | 'linger'>

const EMPTY = { rows: [] }
let functions = 0

/**
 * The rows of a table, or of a filter, kept equal to it. The component is rendered once for each transaction that changes a row. Other
 * variables replace the subscription; until their rows are there, the present ones stay, and the state is `catching-up`.
 *
 * @param changes as of `liveRows`; nothing is subscribed while it is null or undefined
 * @param options `compare` may change; `key` is that of the first rendering
 * @throws TypeError if the document does not contain the argument `initial`
 */
export function useLiveRows<Data, Variables extends object = Record<string, unknown>>(
  changes: Document<Data, Variables> | null | undefined,
  options: UseLiveRowsOptions<Data, Variables> = {},
): RowsContents<RowOf<Data>> & LiveResult {
  const { client, compare, key, ...followed } = options
  const [keyId] = useState(() => (key ? ++functions : 0))
  const text = changes ? textOf(changes) : undefined
  const result = useLiveStore<RowsContents<RowOf<Data>>>(
    {
      key: text === undefined ? undefined : JSON.stringify(['rows', text, keyId, followed]),
      kind: text === undefined ? undefined : `rows ${text}`,
      create: own => liveRows<Data, Variables>(own, { ...followed, key, changes: text as string }),
      empty: EMPTY,
    },
    client,
  )
  const { rows } = result
  const sorted = useMemo(() => (compare ? [...rows].sort(compare) : rows), [rows, compare])
  return useMemo(() => ({ ...result, rows: sorted }), [result, sorted])
}
