import type { Introspection } from '../../../src/client/cache/tables-of.js'
import { createApolloApp } from '../../support/apollo-cache.js'
import type { ShownQuery } from '../../support/cached-world.js'
import { shownFields } from '../../support/fresh-result.js'
import { createUrqlApp } from '../../support/urql-cache.js'
import { byId, type Helper, only, type Tables, type WholeAccount } from './helper.js'
import { byBalance } from './witness.js'

interface CachedQuery extends ShownQuery {
  readonly name: string
  readonly wanted: (tables: Tables) => unknown
}

const real = ({ id }: WholeAccount) => id > 0
const money = (row: WholeAccount) => only(row, 'id', 'balance')

const QUERIES: readonly CachedQuery[] = [
  {
    name: 'all',
    query: 'query All { accounts(limit: 10000, orderBy: [{ id: ASC }]) { rows { id branch balance } } }',
    wanted: ({ accounts }) => ({
      accounts: { rows: accounts.map(row => only(row, 'id', 'branch', 'balance')) },
    }),
  },
  {
    name: 'a page',
    query: `query Page($where: AccountsFilter) {
      accounts(where: $where, orderBy: [{ balance: DESC }, { id: ASC }], limit: 4, offset: 1) { cursor rows { id balance } } }`,
    variables: { where: { branch: { eq: 2 }, id: { gt: 0 } } },
    wanted: ({ accounts }) => ({
      accounts: {
        rows: accounts
          .filter(row => row.branch === 2 && real(row))
          .sort(byBalance)
          .slice(1, 5)
          .map(money),
      },
    }),
  },
  {
    name: 'accounts and their owners',
    query: `query Links { accounts(where: { id: { gt: 0 } }, orderBy: [{ id: ASC }], limit: 12) { rows { id version owner { id name } } } }`,
    wanted: ({ accounts, owners }) => ({
      accounts: {
        rows: accounts
          .filter(real)
          .slice(0, 12)
          .map(({ id, version, ownerId }) => ({
            id,
            version,
            owner: owners.find(owner => owner.id === ownerId) ?? null,
          })),
      },
    }),
  },
  {
    name: 'owners and their accounts',
    query: `query Owners { owners(orderBy: [{ id: ASC }]) { rows {
      id name accounts(orderBy: [{ balance: DESC }, { id: ASC }], limit: 2) { id balance } accountsAggregate { count } } } }`,
    wanted: ({ accounts, owners }) => ({
      owners: {
        rows: [...owners].sort(byId).map(owner => {
          const own = accounts.filter(({ ownerId }) => ownerId === owner.id).sort(byBalance)
          return {
            ...owner,
            accounts: own.slice(0, 2).map(money),
            accountsAggregate: { count: String(own.length) },
          }
        }),
      },
    }),
  },
  {
    name: 'owners with a rich account',
    query: `query Rich { owners(where: { accounts: { some: { balance: { gt: 120 } } } }, orderBy: [{ id: ASC }]) { rows { id name } } }`,
    wanted: ({ accounts, owners }) => ({
      owners: {
        rows: [...owners]
          .sort(byId)
          .filter(({ id }) => accounts.some(({ ownerId, balance }) => ownerId === id && balance > 120)),
      },
    }),
  },
  {
    name: 'sums',
    query: 'query Sums { accountsAggregate { count max { balance } } }',
    wanted: ({ accounts }) => ({
      accountsAggregate: {
        count: String(accounts.length),
        max: { balance: Math.max(...accounts.map(({ balance }) => balance)) },
      },
    }),
  },
]

/** The subscriptions leave out the column that is renamed meanwhile. */
const COLUMNS = { Accounts: ['branch', 'balance', 'born', 'ownerId', 'version', 'digest', 'page'] }

/** The live caches of Apollo Client and urql, each with all of the queries. */
export function createCaches(options: {
  readonly url: string
  readonly introspection: Introspection
  readonly complain: (text: string) => void
}): Helper[] {
  const { url, introspection, complain } = options
  const world = { introspection, proxy: { url } }
  const apps = {
    Apollo: createApolloApp(world, { columns: COLUMNS, every: 50 }),
    urql: createUrqlApp(world, { columns: COLUMNS, every: 50 }),
  }
  return Object.entries(apps).flatMap(([library, app]) => {
    let reported = 0
    return QUERIES.map(({ name, wanted, ...query }, i) => {
      const shown = app.show(query)
      return {
        name: `${library}, ${name}`,
        shown() {
          for (; reported < app.errors.length; reported++)
            complain(`${library}: ${app.errors[reported]?.message}`)
          return shownFields(shown.data())
        },
        wanted,
        status: () => JSON.stringify({ ...shown.rendered.at(-1), data: undefined, operation: undefined }),
        async dispose() {
          shown.unmount()
          if (i === 0) await app.close()
        },
      }
    })
  })
}
