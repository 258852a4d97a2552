import { afterEach, beforeEach, expect, it } from 'vitest'
import { tablesOf } from '../../../src/client/apollo/index.js'
import { describeInBrowser } from '../../support/browser.js'
import { type CachedWorld, createCachedWorld } from '../../support/cached-world.js'
import { type AppHost, bundleApp, createAppHost } from '../../support/react-app.js'

const QUERY = '{ people(orderBy: [{ pk: ASC }], limit: 3) { cursor rows { pk name visits { id } } } }'
/** The same component for both: `useQuery`, and nothing that knows of changes. */
const PEOPLE = `
  if (error) return <p>{error.message}</p>
  if (!data) return <p>Loading…</p>
  return <ul>{data.people.rows.map(({ pk, name, visits }) => <li key={pk}>{name}: {visits.length}</li>)}</ul>`

const APPS = {
  Apollo: `
    import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client'
    import { ApolloProvider, useQuery } from '@apollo/client/react'
    import { createLiveCacheLink, typePoliciesOf } from 'listenql/apollo'
    import { createClient } from 'listenql/client'
    import { StrictMode } from 'react'
    import { createRoot } from 'react-dom/client'

    const client = new ApolloClient({
      cache: new InMemoryCache({ typePolicies: typePoliciesOf(TABLES) }),
      link: ApolloLink.from([
        createLiveCacheLink({ client: createClient({ url: 'ws://localhost:7700/graphql' }), tables: TABLES }),
        new HttpLink({ uri: 'http://localhost:7700/graphql' }),
      ]),
    })
    function People() {
      const { data, error } = useQuery(gql\`query People ${QUERY}\`)
      ${PEOPLE}
    }
    createRoot(document.body.appendChild(document.createElement('main'))).render(
      <StrictMode><ApolloProvider client={client}><People /></ApolloProvider></StrictMode>)`,
  urql: `
    import { createClient } from 'listenql/client'
    import { liveCacheExchange } from 'listenql/urql'
    import { StrictMode } from 'react'
    import { createRoot } from 'react-dom/client'
    import { Client, fetchExchange, Provider, useQuery } from 'urql'

    const client = new Client({
      url: 'http://localhost:7700/graphql',
      preferGetMethod: false,
      exchanges: [
        liveCacheExchange({ client: createClient({ url: 'ws://localhost:7700/graphql' }), tables: TABLES }),
        fetchExchange,
      ],
    })
    function People() {
      const [{ data, error }] = useQuery({ query: \`query People ${QUERY}\` })
      ${PEOPLE}
    }
    createRoot(document.body.appendChild(document.createElement('main'))).render(
      <StrictMode><Provider value={client}><People /></Provider></StrictMode>)`,
}

describeInBrowser('an app whose cache is live', open => {
  let world: CachedWorld
  let host: AppHost
  beforeEach(async () => {
    host = await createAppHost()
    world = await createCachedWorld({ corsOrigins: [host.url] })
    await world.log.query('truncate visits')
  }, 60_000)
  afterEach(async () => {
    await host?.close()
    await world?.close()
  }, 60_000)

  it.each(Object.entries(APPS))(
    '%s: useQuery shows changes, also those that were made while the connection was cut',
    async (_, app) => {
      const tables = JSON.stringify(tablesOf(world.introspection))
      const text = app
        .replaceAll('TABLES', () => tables)
        .replaceAll('localhost:7700', new URL(world.proxy.url).host)
      host.serve(await bundleApp(text))
      const { page, errors } = await open()
      const shows = (...lines: string[]) =>
        expect
          .poll(
            async () => [
              ...(await page.locator('main > *').allInnerTexts()).join('\n').split('\n'),
              ...errors(),
            ],
            {
              timeout: 30_000,
            },
          )
          .toEqual(lines)
      await page.goto(host.url)
      await shows('person 1: 0', 'person 2: 0', 'person 3: 0')
      await world.log.query(`update people set name = 'Ada' where pk = 1`)
      await shows('Ada: 0', 'person 2: 0', 'person 3: 0')
      await world.log.query(`insert into visits (person_id) values (2); delete from people where pk = 3`)
      await shows('Ada: 0', 'person 2: 1', 'person 4: 0')
      await world.proxy.cut()
      await world.log.query(
        `update people set name = 'Eve' where pk = 4; insert into people (pk, name) values (0, 'first')`,
      )
      await world.proxy.mend()
      await shows('first: 0', 'Ada: 0', 'person 2: 1')
      await world.log.query('delete from people where pk < 2')
      await shows('person 2: 1', 'Eve: 0', 'person 5: 0')
    },
    90_000,
  )
})
