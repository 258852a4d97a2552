import { liveQuery } from '../../../src/client/index.js'
import { account, byId, FIELDS, type Helper, type Kit, only, type Tables } from './helper.js'
import { describe } from './row-helpers.js'
import { type Account, BRANCHES, PAGE, TOTAL } from './scene.js'
import { byBalance, pageOf, type Witness } from './witness.js'

interface QuerySpec<Data> {
  readonly name: string
  readonly query: string
  readonly wanted: (tables: Tables) => Data
  /** Judges each result. */
  readonly judge?: (data: Data, witness: Witness, complain: (text: string) => void) => void
  /** The branches that the witness judges. */
  readonly branches?: readonly number[]
}

/** Keeps the type of the data within a specification. */
const spec = <Data>(one: QuerySpec<Data>) => one as QuerySpec<unknown>
const real = ({ id }: Account) => id > 0
const money = (row: Account) => only(row, 'id', 'balance')

const QUERIES: readonly QuerySpec<unknown>[] = [
  spec<{ accounts: { rows: Account[] } }>({
    name: 'all',
    query: `subscription { accounts(orderBy: [{ id: ASC }], limit: 1000) { rows { ${FIELDS} } } }`,
    wanted: ({ accounts }) => ({ accounts: { rows: accounts.map(account) } }),
    branches: BRANCHES,
    judge: ({ accounts: { rows } }, witness) => witness.see(rows),
  }),
  spec<{ accounts: { rows: Account[] } }>({
    name: 'with the renamed column',
    query: `subscription { accounts(where: { branch: { eq: 3 } }, orderBy: [{ id: ASC }], limit: 1000) { rows { ${FIELDS} label } } }`,
    wanted: ({ accounts }) => ({
      accounts: {
        rows: accounts.filter(row => row.branch === 3).map(row => ({ ...account(row), label: row.label })),
      },
    }),
    branches: [3],
    judge: ({ accounts: { rows } }, witness) => witness.see(rows),
  }),
  spec<{
    live: {
      page: { rows: Pick<Account, 'id' | 'balance'>[] }
      seal: { rows: Pick<Account, 'page'>[] }
      accountsAggregate: { sum: { balance: string } }
    }
  }>({
    name: 'a page, its seal and a sum',
    query: `subscription { live {
      page: accounts(where: { branch: { eq: 2 }, id: { gt: 0 } }, orderBy: [{ balance: DESC }, { id: ASC }], limit: ${PAGE}) { rows { id balance } }
      seal: accounts(where: { id: { eq: -2 } }) { rows { page } }
      accountsAggregate { sum { balance } }
    } }`,
    wanted: ({ accounts }) => {
      const rows = accounts
        .filter(row => row.branch === 2 && real(row))
        .sort(byBalance)
        .slice(0, PAGE)
        .map(money)
      return {
        live: {
          page: { rows },
          seal: { rows: [{ page: pageOf(rows) }] },
          accountsAggregate: { sum: { balance: String(TOTAL) } },
        },
      }
    },
    judge({ live: { page, seal, accountsAggregate } }, _witness, complain) {
      const shown = page.rows.map(({ id, balance }) => `${id}:${balance}`).join(' ')
      if (shown !== seal.rows[0]?.page) complain(`the page is ${shown} instead of ${seal.rows[0]?.page}`)
      if (accountsAggregate.sum.balance !== String(TOTAL))
        complain(`the sum is ${accountsAggregate.sum.balance}`)
    },
  }),
  spec<unknown>({
    name: 'owners and their accounts',
    query: `subscription { owners(orderBy: [{ id: DESC }]) { rows {
      id name accounts(orderBy: [{ balance: DESC }, { id: ASC }], limit: 2, offset: 1) { id balance } accountsAggregate { count }
    } } }`,
    wanted: ({ accounts, owners }) => ({
      owners: {
        rows: [...owners]
          .sort(byId)
          .reverse()
          .map(owner => {
            const own = accounts.filter(({ ownerId }) => ownerId === owner.id).sort(byBalance)
            return {
              ...owner,
              accounts: own.slice(1, 3).map(money),
              accountsAggregate: { count: String(own.length) },
            }
          }),
      },
    }),
  }),
]

/** Stores of `liveQuery`. */
export function createQueries(kit: Kit): Helper[] {
  return QUERIES.map(({ name: query, query: text, wanted, judge, branches = [] }) => {
    const name = `liveQuery, ${query}`
    const witness = kit.witness(name, branches)
    const store = liveQuery(kit.client, { query: text })
    let before: unknown
    store.subscribe(() => {
      const { data } = store.getSnapshot()
      kit.heard(name, store.status, store.refetch)
      if (data !== undefined && data !== before)
        judge?.(data, witness, fault => kit.complain(`${name}: ${fault}`))
      before = data
    })
    return {
      name,
      shown: () => store.getSnapshot().data,
      wanted,
      status: () => describe(store.status),
      dispose: store.dispose,
    }
  })
}
