import {
  BasicIndex,
  type Collection,
  createCollection,
  createLiveQueryCollection,
  eq,
  type InitialQueryBuilder,
} from '@tanstack/db'
import {
  type ListenqlCollectionConfig,
  type ListenqlCollectionUtils,
  listenqlCollectionOptions,
} from '../../../src/client/tanstack-db/index.js'
import {
  account,
  byId,
  type Helper,
  type Kit,
  type Owner,
  only,
  type Tables,
  type WholeAccount,
} from './helper.js'
import { describe } from './row-helpers.js'
import { type Account, BRANCHES } from './scene.js'
import { byBalance } from './witness.js'

const COLUMNS = ['branch', 'balance', 'born', 'version', 'digest', 'page'] as const
const INDEXED = { autoIndex: 'eager', defaultIndexType: BasicIndex } as const

/** Collections of TanStack DB, and live queries over them. */
export function createCollections(kit: Kit): Helper[] {
  const helpers: Helper[] = []

  /** @param branches undefined: no state is judged */
  function open<Row extends { readonly id: number }>(
    title: string,
    config: Omit<ListenqlCollectionConfig<Row>, 'client' | 'schema'>,
    { branches, wanted }: { branches?: readonly number[]; wanted?: (tables: Tables) => unknown },
  ) {
    const name = `collection, ${title}`
    const { client, reads } = kit.countingReads()
    const collection = createCollection(
      listenqlCollectionOptions<Row>({ ...INDEXED, ...config, client, schema: undefined as never }),
    ) as unknown as Collection<Row, string | number, ListenqlCollectionUtils>
    const { utils } = collection
    utils.onStatus(() => kit.heard(name, utils.status(), utils.refetch))
    const rows = () => collection.toArray.map(row => account(row as unknown as Account)).sort(byId)
    if (branches) {
      const witness = kit.witness(name, branches)
      collection.subscribeChanges(() => witness.see(rows(), reads()))
    }
    helpers.push({
      name,
      shown: () => (wanted ? rows() : undefined),
      wanted: tables => wanted?.(tables),
      status: () => describe(utils.status()),
      dispose: () => collection.cleanup(),
    })
    return collection
  }
  /** Shows a live query of the browser. */
  function show<Row extends object>(
    title: string,
    query: (q: InitialQueryBuilder) => unknown,
    { shown, wanted }: { shown: (rows: Row[]) => unknown; wanted: (tables: Tables) => unknown },
  ) {
    const collection = createLiveQueryCollection({
      startSync: true,
      query: query as (q: InitialQueryBuilder) => ReturnType<InitialQueryBuilder['from']>,
    })
    const present = () => collection.toArray as unknown as Row[]
    collection.subscribeChanges(() => undefined) // without a subscriber, it is cleaned up
    helpers.push({
      name: `live query of TanStack DB, ${title}`,
      shown: () => shown(present()),
      wanted,
      status: () => collection.status,
      dispose: () => collection.cleanup(),
    })
    return { collection, present }
  }

  const accounts = open<WholeAccount>(
    'all',
    { table: 'accounts', columns: [...COLUMNS, 'ownerId'] },
    { branches: BRANCHES, wanted: tables => tables.accounts.map(account) },
  )
  open<Account>(
    'branch 1',
    { table: 'accounts', columns: COLUMNS, where: { branch: { eq: 1 } } },
    { branches: [1], wanted: tables => tables.accounts.filter(({ branch }) => branch === 1).map(account) },
  )
  open<WholeAccount>(
    'with the renamed column',
    { table: 'accounts', columns: [...COLUMNS, 'label'], where: { branch: { gte: 2 } } },
    { branches: [2, 3], wanted: tables => tables.accounts.filter(({ branch }) => branch >= 2).map(account) },
  )
  const owners = open<Owner>('owners', { table: 'owners', columns: ['name'] }, {})
  show<{ id: number; owner: string | undefined }>(
    'a join',
    q =>
      q
        .from({ a: accounts })
        .leftJoin({ o: owners }, ({ a, o }) => eq(a.ownerId, o.id))
        .select(({ a, o }) => ({ id: a.id, owner: o?.name })),
    {
      shown: rows => rows.map(({ id, owner }) => ({ id, owner: owner ?? null })).sort(byId),
      wanted: tables =>
        tables.accounts.map(({ id, ownerId }) => ({
          id,
          owner: tables.owners.find(owner => owner.id === ownerId)?.name ?? null,
        })),
    },
  )
  show<Account>(
    'a page',
    q =>
      q
        .from({ a: accounts })
        .where(({ a }) => eq(a.branch, 2))
        .orderBy(({ a }) => a.balance, 'desc')
        .orderBy(({ a }) => a.id, 'asc')
        .limit(5),
    {
      shown: rows => rows.map(row => only(row, 'id', 'balance')),
      wanted: tables =>
        tables.accounts
          .filter(({ branch }) => branch === 2)
          .sort(byBalance)
          .slice(0, 5)
          .map(row => only(row, 'id', 'balance')),
    },
  )
  const onDemand = open<Account>(
    'on demand',
    { table: 'accounts', columns: COLUMNS, syncMode: 'on-demand' },
    {},
  )
  const witness = kit.witness('live query of TanStack DB, on demand', [3])
  const third = show<Account>('on demand', q => q.from({ a: onDemand }).where(({ a }) => eq(a.branch, 3)), {
    shown: rows => rows.map(account).sort(byId),
    wanted: tables => tables.accounts.filter(({ branch }) => branch === 3).map(account),
  })
  third.collection.subscribeChanges(() => witness.see(third.present().map(account)))
  return helpers
}
