import { afterEach, beforeEach, expect, it } from 'vitest'
import { type AppWorld, createAppWorld } from '../../support/app-world.js'
import { describeInBrowser, type WatchedPage } from '../../support/browser.js'
import { bundleApp } from '../../support/react-app.js'

const patience = { timeout: 20_000 }

/** What a page has recorded. */
interface Recorded {
  /** Messages of graphql-transport-ws that it has sent. */
  readonly sent: readonly { readonly type: string; readonly payload?: { readonly variables?: unknown } }[]
  /** What the app has shown, at each rendering. */
  readonly shown: readonly string[]
  /** Problems that React reported. */
  readonly problems: readonly string[]
}

const RECORDER = `
  Object.assign(globalThis, { sent: [], shown: [], problems: [] })
  const { send } = WebSocket.prototype
  WebSocket.prototype.send = function (text) {
    sent.push(JSON.parse(text))
    send.call(this, text)
  }
`
const HEAD = `
  import { memo, StrictMode, useState } from 'react'
  import { createRoot, hydrateRoot } from 'react-dom/client'
  import { createClient } from 'listenql/client'
  import { ListenqlProvider, useChannel, useListenqlStatus, useLiveQuery, useLiveRows } from 'listenql/react'
  const client = createClient({ url: 'ws://HOST/graphql' })
  const CHANGES = \`subscription ($where: PeopleFilter) {
    peopleChanged(initial: true, where: $where) { operation key { pk } row { pk name } transaction }
  }\`
`
/** The app of most tests: a list with a filter, twice, in StrictMode. */
const LIST = `${HEAD}
  const byName = (a, b) => (a.name < b.name ? -1 : 1)
  const Row = memo(({ row }) => {
    shown.push('row ' + row.name)
    return <li>{row.name}</li>
  })
  function List({ variables }) {
    const { rows, state, error, isLoaded, refetch } = useLiveRows(CHANGES, { variables, compare: byName })
    shown.push(state + ': ' + rows.map(({ name }) => name).join(' '))
    if (!isLoaded) return <p>{error ? error.message : 'Loading…'}</p>
    return <ul title={state} onClick={refetch}>{rows.map(row => <Row key={row.pk} row={row} />)}</ul>
  }
  function App() {
    const [shows, setShows] = useState(true)
    const [letter, setLetter] = useState('')
    return (
      <ListenqlProvider client={client}>
        <button onClick={() => setShows(!shows)}>mount</button>
        <input value={letter} onChange={event => setLetter(event.target.value)} />
        {shows && <List variables={{ where: { name: { like: letter + '%' } } }} />}
        {shows && <List variables={{ where: { name: { like: letter + '%' } } }} />}
      </ListenqlProvider>
    )
  }
`
const IN_STRICT_MODE = `${LIST}
  createRoot(document.body.appendChild(document.createElement('main'))).render(<StrictMode><App /></StrictMode>)
`

describeInBrowser('the hooks of listenql/react', open => {
  let world: AppWorld
  beforeEach(async () => {
    world = await createAppWorld(
      `create table people (pk serial primary key, name text);
      insert into people (name) values ('Cy'), ('Ada'), ('Ann')`,
      'people',
    )
  }, 60_000)
  afterEach(() => world?.close(), 60_000)

  async function run(text: string, mode: 'production' | 'development', content = '') {
    world.host.serve(await bundleApp(text.replaceAll('HOST', new URL(world.server.url).host), mode), content)
    const opened = await open()
    await opened.page.addInitScript({ content: RECORDER })
    await opened.page.goto(world.host.url)
    const recorded = () => opened.page.evaluate<Recorded>('({ sent, shown, problems })')
    const sentOf = async (type: string) => (await recorded()).sent.filter(message => message.type === type)
    return { ...opened, recorded, sentOf }
  }

  it('show rows with one subscription for equal components, in StrictMode, and unsubscribe when unmounted', async () => {
    const app = await run(IN_STRICT_MODE, 'development')
    await shows(app, 'ul >> nth=0', ['Ada', 'Ann', 'Cy'])
    await shows(app, 'ul >> nth=1', ['Ada', 'Ann', 'Cy'])
    await world.log.query(
      `begin; insert into people (name) values ('Bob'), ('Eve'); delete from people where name = 'Cy'; commit`,
    )
    await shows(app, 'ul >> nth=0', ['Ada', 'Ann', 'Bob', 'Eve'])
    expect((await app.sentOf('subscribe')).length).toBe(1)
    const lists = (await app.recorded()).shown.filter(text => text.includes(':'))
    expect(new Set(lists)).toEqual(new Set(['loading: ', 'live: Ada Ann Cy', 'live: Ada Ann Bob Eve']))

    const button = app.page.getByRole('button')
    await button.click() // and again before its time is over
    await button.click()
    await shows(app, 'ul >> nth=0', ['Ada', 'Ann', 'Bob', 'Eve'])
    expect((await app.sentOf('complete')).length).toBe(0)
    await button.click()
    await expect.poll(() => app.sentOf('complete'), patience).toHaveLength(1)
    expect(app.errors()).toEqual([])
  }, 60_000)

  it('render only the rows that have changed', async () => {
    const app = await run(IN_STRICT_MODE, 'production')
    await shows(app, 'ul >> nth=0', ['Ada', 'Ann', 'Cy'])
    await app.page.evaluate('shown.length = 0')
    await world.log.query(`update people set name = 'Amy' where name = 'Ann'`)
    await shows(app, 'ul >> nth=1', ['Ada', 'Amy', 'Cy'])
    const rows = (await app.recorded()).shown.filter(text => text.startsWith('row'))
    expect(rows).toEqual(['row Amy', 'row Amy'])
  }, 60_000)

  it('replace the rows of a filter by those of another without a flash, over the same socket', async () => {
    const app = await run(IN_STRICT_MODE, 'production')
    await shows(app, 'ul >> nth=0', ['Ada', 'Ann', 'Cy'])
    await app.page.evaluate('shown.length = 0')
    await app.page.locator('input').fill('A')
    await shows(app, 'ul >> nth=0', ['Ada', 'Ann'])
    await app.page.locator('input').fill('C')
    await shows(app, 'ul >> nth=0', ['Cy'])
    const lists = (await app.recorded()).shown.filter(text => text.includes(':'))
    expect(new Set(lists)).toEqual(
      new Set(['catching-up: Ada Ann Cy', 'live: Ada Ann', 'catching-up: Ada Ann', 'live: Cy']),
    )
    await expect.poll(() => app.sentOf('complete'), patience).toHaveLength(2)
    expect((await app.sentOf('connection_init')).length).toBe(1)
  }, 60_000)

  it('show the truth about the connection, and the right rows after it was lost', async () => {
    const app = await run(
      `${HEAD}
      const PEOPLE = 'subscription { people(orderBy: [{ name: ASC }]) { rows { pk name } } }'
      function Screen() {
        const status = useListenqlStatus()
        const people = useLiveQuery(PEOPLE)
        const kept = useLiveRows(CHANGES)
        const nothing = useLiveRows(null)
        const news = useChannel('news')
        return <>
          <li>{status.state}, {people.state}, {kept.state}, {news.state}, {nothing.state}</li>
          <li>{people.data?.people.rows.map(({ name }) => name).join(' ')}</li>
          <li>{kept.rows.map(({ name }) => name).join(' ')}</li>
          <li>{news.events.map(({ payload }) => payload).join(' ')}</li>
          <li>{status.since instanceof Date ? 'since' : ''}</li>
        </>
      }
      createRoot(document.body.appendChild(document.createElement('main'))).render(
        <ListenqlProvider client={client}><Screen /></ListenqlProvider>
      )`,
      'production',
    )
    const lines = (states: string, sorted: string, kept: string, news: string) =>
      shows(app, 'main', [`${states}, loading`, sorted, kept, news, 'since'])
    await lines('live, live, live, live', 'Ada Ann Cy', 'Cy Ada Ann', '')
    await world.log.query(`select listenql.publish('news', 'one')`)
    await lines('live, live, live, live', 'Ada Ann Cy', 'Cy Ada Ann', 'one')
    const { port } = world.server
    await world.server.close()
    await lines('offline, offline, offline, offline', 'Ada Ann Cy', 'Cy Ada Ann', 'one')
    await world.log.query(`delete from people where name = 'Ann'; insert into people (name) values ('Bea');
      select listenql.publish('news', 'two')`)
    await world.start(port)
    await lines('live, live, live, live', 'Ada Bea Cy', 'Cy Ada Bea', 'one two')
  }, 90_000)

  it('give the loading state on a server, without a socket, and hydrate it', async () => {
    const { WebSocket } = globalThis
    Reflect.deleteProperty(globalThis, 'WebSocket')
    try {
      const rendered = Object.assign(globalThis, { shown: [] as string[], html: '' })
      new Function(
        await bundleApp(
          `import { renderToString } from 'react-dom/server'; ${LIST} globalThis.html = renderToString(<App />)`,
        ),
      )()
      const { html } = rendered
      expect(html).toContain('<p>Loading…</p><p>Loading…</p>')
      const app = await run(
        `${LIST}
        hydrateRoot(document.querySelector('main'), <App />, { onRecoverableError: error => problems.push(error.message) })`,
        'development',
        `<main>${html}</main>`,
      )
      await shows(app, 'ul >> nth=1', ['Ada', 'Ann', 'Cy'])
      const { problems, shown } = await app.recorded()
      expect([problems, app.errors()]).toEqual([[], []])
      expect(shown[0]).toBe('loading: ')
    } finally {
      if (WebSocket) globalThis.WebSocket = WebSocket
      for (const name of ['shown', 'html']) Reflect.deleteProperty(globalThis, name)
    }
  }, 60_000)
})

/** Waits until the items of a list are these. */
async function shows(
  { page }: Pick<WatchedPage, 'page'>,
  list: string,
  items: readonly string[],
): Promise<void> {
  await expect.poll(() => page.locator(list).locator('li').allInnerTexts(), patience).toEqual(items)
}
