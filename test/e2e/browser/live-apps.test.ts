import { afterEach, beforeEach, expect, it } from 'vitest'
import { type AppWorld, createAppWorld } from '../../support/app-world.js'
import { describeInBrowser, type WatchedPage } from '../../support/browser.js'
import { bundleApp } from '../../support/react-app.js'
import { snippetsOf } from '../../support/snippets.js'

const patience = { timeout: 20_000 }
const ALL = snippetsOf('docs/clients.md').filter(({ language }) => language === 'jsx')
const APPS = ALL.filter(({ text }) => text.includes('useSubscription'))

describeInBrowser('an app of docs/clients.md', open => {
  let world: AppWorld
  beforeEach(async () => {
    world = await createAppWorld(
      `create table people (pk serial primary key, name text, age int default 36);
      create table visits (pk serial primary key, person_id int references people, place text);
      insert into people (name) values ('Ada')`,
      'people',
      'visits',
    )
  }, 60_000)
  afterEach(() => world?.close(), 60_000)

  it('is there for Apollo and for urql', () => {
    expect(APPS.map(({ text }) => /from '(@apollo\/client|urql)'/.exec(text)?.[1])).toEqual([
      '@apollo/client',
      'urql',
    ])
    expect(ALL.length).toBe(5)
  })

  async function run(text: string) {
    world.host.serve(await bundleApp(text.replaceAll('localhost:7700', new URL(world.server.url).host)))
    const opened = await open()
    await opened.page.goto(world.host.url)
    return opened
  }

  it('with useLiveQuery shows live results, also after a restart of the server', async () => {
    const { text } = ALL.find(({ text }) =>
      text.includes('ListenqlProvider, useLiveQuery'),
    ) as (typeof ALL)[number]
    const app = await run(text)
    await shows(app, ['Ada'])
    await world.log.query(`insert into people (name) values ('Bob')`)
    await shows(app, ['Ada', 'Bob'])
    const { port } = world.server
    await world.server.close()
    await world.log.query(`delete from people where name = 'Ada'`)
    await world.start(port)
    await shows(app, ['Bob'])
  }, 90_000)

  it('with useLiveRows shows the rows of its filter, in order, and since when it is offline', async () => {
    const { text } = ALL.find(({ text }) => text.includes('useLiveRows')) as (typeof ALL)[number]
    const app = await run(text)
    await shows(app, ['Ada, 36'])
    await world.log.query(`insert into people (name, age) values ('Aaron', 50), ('Zoe', 20)`)
    await shows(app, ['Aaron, 50', 'Ada, 36', 'Zoe, 20'])
    await app.page.locator('input').fill('30')
    await shows(app, ['Aaron, 50', 'Ada, 36'])
    const { port } = world.server
    await world.server.close()
    await app.page.getByText('Offline since').waitFor()
    await world.log.query(`update people set age = 31 where name = 'Zoe'`)
    await world.start(port)
    await shows(app, ['Aaron, 50', 'Ada, 36', 'Zoe, 31'])
    expect(await app.page.getByText('Offline since').isVisible()).toBe(false)
  }, 90_000)

  it.each(APPS)(
    'shows live results with useSubscription, also after a restart of the server (line $line)',
    async ({ text }) => {
      const app = await run(text)
      await shows(app, ['Ada, 0 visits:'])
      await world.log.query(`insert into visits (person_id, place) values (1, 'Library')`)
      await shows(app, ['Ada, 1 visits: Library'])
      await world.log.query(`insert into people (name) values ('Bob')`)
      await shows(app, ['Bob, 0 visits:', 'Ada, 1 visits: Library'])

      const { port } = world.server
      await world.server.close()
      await world.log.query(`update visits set person_id = 2, place = 'Harbour'`)
      await world.start(port)
      await shows(app, ['Bob, 1 visits: Harbour', 'Ada, 0 visits:'])
    },
    90_000,
  )

  it.each(APPS)(
    'shows the same with useQuery, once (line $line)',
    async ({ text }) => {
      await world.log.query(`insert into visits (person_id, place) values (1, 'Library')`)
      const once = text
        .replaceAll('useSubscription', 'useQuery')
        .replace('subscription People', 'query People')
      expect(once).not.toBe(text)
      const app = await run(once)
      await shows(app, ['Ada, 1 visits: Library'])
      expect(app.requests().filter(url => url.startsWith('ws:'))).toEqual([])
    },
    60_000,
  )
})

/** Waits until the app shows these lines. An error of the app is part of what it shows. */
async function shows({ page, errors }: WatchedPage, lines: readonly string[]): Promise<void> {
  const shown = async () => [
    ...(await page.locator('li').allInnerTexts()).map(text => text.trim()),
    ...errors(),
  ]
  await expect.poll(shown, patience).toEqual(lines)
}
