import { afterEach, beforeEach, expect, it } from 'vitest'
import { type AppWorld, createAppWorld } from '../../support/app-world.js'
import { describeInBrowser } from '../../support/browser.js'
import { bundleApp } from '../../support/react-app.js'

const patience = { timeout: 20_000 }

/** `calls` has the calls of the functions, `sent` the types of the messages to the server, `states` the states at each rendering. */
const APP = `
  import { StrictMode, useState } from 'react'
  import { createRoot } from 'react-dom/client'
  import { createClient } from 'listenql/client'
  import { useRowFeed } from 'listenql/react'
  Object.assign(globalThis, { calls: [], sent: [], states: [] })
  class Socket extends WebSocket {
    send(text) {
      sent.push(JSON.parse(text).type)
      super.send(text)
    }
  }
  const client = createClient({ url: 'ws://HOST/graphql', webSocketImpl: Socket })
  const CHANGES = \`subscription ($where: PeopleFilter) {
    peopleChanged(initial: true, where: $where) { operation key { pk } row { pk name } transaction }
  }\`
  function Feed({ letter, count }) {
    const { state, error, isLoaded, refetch } = useRowFeed(
      CHANGES,
      {
        rows: rows => calls.push(count + ' rows: ' + rows.map(({ row }) => row.name).join(' ')),
        changes: (changes, transaction) => {
          if (changes.some(({ row }) => row?.name === 'Mallory')) throw new Error('unwanted')
          const texts = changes.map(({ operation, row }) => operation + ' ' + row?.name)
          calls.push(count + ' ' + typeof transaction + ': ' + texts.join(', '))
        },
      },
      { client, variables: { where: { name: { like: letter + '%' } } } },
    )
    states.push(state + ' ' + isLoaded)
    return <output onClick={refetch}>{state} {error?.message}</output>
  }
  function App() {
    const [letter, setLetter] = useState('')
    const [count, setCount] = useState(1)
    return <>
      <button onClick={() => setCount(count + 1)}>{count}</button>
      <input value={letter} onChange={event => setLetter(event.target.value)} />
      {letter !== '-' && <Feed letter={letter} count={count} />}
    </>
  }
  createRoot(document.body.appendChild(document.createElement('main'))).render(<StrictMode><App /></StrictMode>)
`

describeInBrowser('useRowFeed', open => {
  let world: AppWorld
  beforeEach(async () => {
    world = await createAppWorld(
      `create table people (pk serial primary key, name text);
      insert into people (name) values ('Ada'), ('Ann'), ('Cy')`,
      'people',
    )
  }, 60_000)
  afterEach(() => world?.close(), 60_000)

  async function run() {
    world.host.serve(await bundleApp(APP.replace('HOST', new URL(world.server.url).host), 'development'))
    const { page, errors } = await open()
    await page.goto(world.host.url)
    const listOf = (name: 'calls' | 'sent' | 'states') => page.evaluate<string[]>(name)
    const called = (...calls: string[]) => expect.poll(() => listOf('calls'), patience).toEqual(calls)
    const subscriptions = async () => (await listOf('sent')).filter(type => type === 'subscribe').length
    return { page, errors, listOf, called, subscriptions }
  }

  it('calls the newest functions with the rows, and with each transaction, also those of an outage', async () => {
    const { page, errors, called, subscriptions } = await run()
    await called('1 rows: Ada Ann Cy')
    await page.getByRole('button').click()
    await world.log.query(
      `begin; insert into people (name) values ('Bob'); update people set name = 'Cyd' where name = 'Cy'; commit`,
    )
    const before = ['1 rows: Ada Ann Cy', '2 string: INSERT Bob, UPDATE Cyd']
    await called(...before)
    expect(await subscriptions()).toBe(1)

    const { port } = world.server
    await world.server.close()
    const status = page.getByRole('status')
    await expect.poll(() => status.innerText(), patience).toBe('offline')
    await world.log.query(`insert into people (name) values ('Eve')`)
    await world.start(port)
    await called(...before, '2 string: INSERT Eve')
    await expect.poll(() => status.innerText(), patience).toBe('live')
    expect(errors()).toEqual([])
  }, 60_000)

  it('calls `rows` again for other variables, and nothing after unmounting', async () => {
    const { page, listOf, called } = await run()
    await called('1 rows: Ada Ann Cy')
    await page.evaluate('states.length = 0')
    await page.locator('input').fill('A')
    await called('1 rows: Ada Ann Cy', '1 rows: Ada Ann')
    await world.log.query(
      `insert into people (name) values ('Cora'); insert into people (name) values ('Amy')`,
    )
    const before = ['1 rows: Ada Ann Cy', '1 rows: Ada Ann', '1 string: INSERT Amy']
    await called(...before)
    expect(new Set(await listOf('states'))).toEqual(new Set(['live true', 'catching-up true']))

    await page.locator('input').fill('-')
    await expect.poll(async () => (await listOf('sent')).at(-1), patience).toBe('complete')
    await world.log.query(`insert into people (name) values ('Abe')`)
    await page.locator('input').fill('Ab')
    await called(...before, '1 rows: Abe')
  }, 60_000)

  it('fails if a function throws, and begins again with `refetch`', async () => {
    const { page, errors, called } = await run()
    await called('1 rows: Ada Ann Cy')
    await world.log.query(`insert into people (name) values ('Mallory')`)
    const status = page.getByRole('status')
    await expect.poll(() => status.innerText(), patience).toBe('failed unwanted')
    await status.click()
    await called('1 rows: Ada Ann Cy', '1 rows: Ada Ann Cy Mallory')
    await expect.poll(() => status.innerText(), patience).toBe('live')
    expect(errors()).toEqual([])
  }, 60_000)
})
