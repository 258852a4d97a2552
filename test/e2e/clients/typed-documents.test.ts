import { ApolloClient, HttpLink, InMemoryCache } from '@apollo/client/core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { livePeople } from '../../support/documents.js'
import type { LivePeopleSubscription } from '../../support/graphql/graphql.js'
import { createLive, type Live } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'

let log: TestLog
let live: Live

beforeAll(async () => {
  log = await createLog()
  await log.query(`create table people (pk serial primary key, ts timestamptz, name text, age int, height real);
    create table visits (pk serial primary key, ts timestamptz, person_id int not null references people, place text);
    insert into people (name) values ('Ada'), ('Bob'), ('Cy');
    insert into visits (person_id, place) values (1, 'Library'), (2, 'Harbour')`)
  await log.watch('people', 'visits')
  live = await createLive(log)
  await live.ready('{ visits { cursor } }')
})
afterAll(async () => {
  await live?.close()
  await log.close()
})

it('Apollo takes a typed document of a live query, with the types that it was generated with', async () => {
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: new HttpLink({ uri: `${live.server.url}/graphql` }),
  })
  const results: LivePeopleSubscription['people']['rows'][] = []
  const subscription = client
    .subscribe({
      query: livePeople,
      variables: { limit: 10, places: { none: { place: { eq: 'Library' } } } },
      fetchPolicy: 'no-cache',
    })
    .subscribe(({ data }) => {
      if (data) results.push(data.people.rows)
    })
  const shown = () =>
    results.at(-1)?.map(({ name, visits, visitsAggregate }) => {
      const { count, avg }: { count: string; avg: { pk?: string | null } } = visitsAggregate
      return [name, visits.map(({ place, person }) => `${place} of ${person?.name}`), count, avg.pk]
    })
  await expect.poll(shown, { timeout: 20_000 }).toEqual([
    ['Bob', ['Harbour of Bob'], '1', '2.0000000000000000'],
    ['Cy', [], '0', null],
  ])
  await log.query(`update visits set person_id = 3 where place = 'Library'`)
  await expect.poll(shown, { timeout: 20_000 }).toEqual([
    ['Ada', [], '0', null],
    ['Bob', ['Harbour of Bob'], '1', '2.0000000000000000'],
  ])
  subscription.unsubscribe()
  client.stop()
})
