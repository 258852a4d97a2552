import {
  applyChange,
  createRowFeed,
  type FeedChange,
  type FeedStatus,
  type LiveRowsOptions,
  liveRows,
} from '../../../src/client/index.js'
import { account, byId, FIELDS, type Helper, type Kit, type Tables } from './helper.js'
import { createKeptOrder } from './kept-order.js'
import { type Account, BRANCHES } from './scene.js'
import { byBalance } from './witness.js'

const changesOf = (fields: string) => `subscription ($where: AccountsFilter) {
  accountsChanged(initial: true, where: $where) { operation key { id } row { ${fields} } transaction } }`
const CHANGES = changesOf(FIELDS)

interface ListSpec extends Partial<LiveRowsOptions<unknown, Record<string, unknown>>> {
  readonly name: string
  readonly where?: Readonly<Record<string, unknown>>
  readonly matches: (row: Account) => boolean
  /** The branches of which every notified state is judged. Default: none, only the rows at rest */
  readonly branches?: readonly number[]
  readonly order?: (a: Account, b: Account) => number
}

const LISTS: readonly ListSpec[] = [
  { name: 'all', matches: () => true, branches: BRANCHES, order: byBalance },
  { name: 'branch 1', where: { branch: { eq: 1 } }, matches: row => row.branch === 1, branches: [1] },
  {
    name: 'branches 2 and 3',
    where: { or: [{ branch: { eq: 2 } }, { branch: { in: [3] } }] },
    matches: row => row.branch > 1,
    branches: [2, 3],
  },
  {
    name: 'rich',
    where: { balance: { gte: 100 }, id: { gt: 0 } },
    matches: ({ id, balance }) => balance >= 100 && id > 0,
    order: byBalance,
  },
  {
    name: 'in parts',
    matches: () => true,
    maxChanges: 20, // so that a larger transaction arrives in parts
  },
  {
    name: 'without transactions',
    where: { branch: { lt: 3 } },
    matches: row => row.branch < 3,
    changes: CHANGES.replace('transaction', ''),
    order: byId,
  },
  {
    name: 'with the renamed column',
    where: { branch: { eq: 3 } },
    matches: row => row.branch === 3,
    branches: [3],
    changes: changesOf(`${FIELDS} label`),
  },
]

/** Lists of `liveRows`, each with a filter or an order of its own. */
export function createLists(kit: Kit): Helper[] {
  return LISTS.map(({ name: list, where, matches, branches, order, ...more }) => {
    const name = `liveRows, ${list}`
    const { client, reads } = kit.countingReads()
    const store = liveRows<{ it: { row: Account } }>(client, {
      changes: CHANGES,
      variables: { where },
      compare: order,
      ...(more as object),
    })
    const witness = branches && kit.witness(name, branches)
    const kept = order ? undefined : createKeptOrder(name, kit.complain)
    store.subscribe(() => {
      const { rows, isLoaded } = store.getSnapshot()
      kit.heard(name, store.status, store.refetch)
      if (!isLoaded) return
      witness?.see(rows, reads())
      kept?.see(rows, reads())
      if (order && rows.some((row, i) => i > 0 && order(rows[i - 1] as Account, row) > 0))
        kit.complain(`${name} is out of order: ${rows.map(({ id, balance }) => `${id}:${balance}`)}`)
    })
    return {
      name,
      shown: () => (order ? store.getSnapshot().rows : [...store.getSnapshot().rows].sort(byId)).map(account),
      wanted: ({ accounts }: Tables) =>
        accounts
          .filter(matches)
          .map(account)
          .sort(order ?? byId),
      status: () => describe(store.status),
      dispose: store.dispose,
    }
  })
}

/** A feed whose rows are kept with `applyChange`. No transaction may arrive twice, or in between another. */
export function createFeeds(kit: Kit): Helper[] {
  return [undefined, 2].map(branch => {
    const name = `createRowFeed, ${branch === undefined ? 'all' : `branch ${branch}`}`
    const witness = kit.witness(name, branch === undefined ? BRANCHES : [branch])
    const rows = new Map<unknown, Account>()
    /** The transactions since the rows were read. */
    const transactions = new Set<string>()
    let last: string | undefined
    let reads = 0
    let parts = 0
    const apply = (change: FeedChange) =>
      applyChange(
        rows,
        change as Parameters<typeof applyChange<Account, { id: number }, unknown>>[1],
        key => key.id,
      )
    const feed = createRowFeed<{ it: FeedChange }, Record<string, unknown>>(
      kit.client,
      { changes: CHANGES, ...(branch !== undefined && { variables: { where: { branch: { eq: branch } } } }) },
      {
        rows(all) {
          rows.clear()
          transactions.clear()
          last = undefined
          all.forEach(apply)
          witness.see([...rows.values()], ++reads)
        },
        changes(changes, transaction) {
          changes.forEach(apply)
          if (transaction === undefined) kit.complain(`${name} got changes without a transaction`)
          else if (transaction === last) parts++
          else if (transactions.has(transaction)) kit.complain(`${name} got transaction ${transaction} again`)
          if (changes.some(change => change.transaction !== transaction))
            kit.complain(`${name} got changes of several transactions at once`)
          last = transaction
          transactions.add(transaction ?? '')
          witness.see([...rows.values()], reads)
        },
        status: status => kit.heard(name, status, () => feed.refetch()),
      },
    )
    return {
      name,
      shown: () => [...rows.values()].map(account).sort(byId),
      wanted: ({ accounts }: Tables) =>
        accounts.filter(row => branch === undefined || row.branch === branch).map(account),
      status: () => `${describe(feed.status)}, ${parts} parts of transactions`,
      dispose: feed.dispose,
    }
  })
}

export function describe(status: FeedStatus | undefined): string {
  return status ? `${status.state}${status.error ? `, ${status.error.message}` : ''}` : 'not open'
}
