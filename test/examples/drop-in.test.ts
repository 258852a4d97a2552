import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { freePort } from '../../src/embedded/free-port.js'
import { describeInBrowser } from '../support/browser.js'
import { type Example, startExample } from '../support/example.js'

const patience = { timeout: 20_000 }
const INSERT = 'insert into people (name, age, height) values ($1, 51, 1.9)'

describeInBrowser('examples/drop-in', open => {
  let example: Example
  let port: number

  beforeAll(async () => {
    port = await freePort()
    example = await startExample('drop-in', { ES_HTTPPORT: String(port) })
  }, 60_000)

  afterAll(() => example?.close(), 60_000)

  const insert = (name: string) => example.query(INSERT, [name])

  /** What the page has to show of the table. */
  async function inTable(): Promise<string[]> {
    const rows = await example.query('select pk, name, age from people order by pk')
    return rows.map(({ pk, name, age }) => `${pk} ${name} ${age}`)
  }

  it('shows the events of the article, on its own page and on the demo page', async () => {
    const pages = [await open(), await open()]
    for (const watched of pages) {
      await example.open(watched)
      await expect.poll(() => stateOf(watched.page), patience).toBe('live')
    }
    const article = await open()
    await article.page.goto(`http://localhost:${port}/#people`)
    const card = article.page.getByRole('article', { name: 'Channel people', exact: true })
    await expect.poll(() => card.getByRole('status').textContent(), patience).toBe('Listening')

    await insert('Paul')
    await insert('Colin')
    for (const { page, errors, outside } of pages) {
      await expect.poll(() => shown(page), patience).toEqual(await inTable())
      const [newest] = await page.getByRole('list').locator('li').allTextContents()
      expect(JSON.parse(newest ?? '')).toMatchObject({
        name: 'Colin',
        dml_action: 'INSERT',
        dml_table: 'people',
      })
      expect(errors()).toEqual([])
      expect(outside()).toEqual([])
    }
    await expect.poll(() => card.locator('pre').first().textContent(), patience).toContain('Colin')
  }, 60_000)

  it('shows the table, also after a cut, a killed server and notifications that the server has missed', async () => {
    const watched = await open({ width: 390 })
    const { page } = watched
    await example.open(watched)
    await insert('Ada')
    await insert('Bob')
    await expect.poll(() => shown(page), patience).toEqual(await inTable())
    await example.query('update people set age = age + 1')
    await example.query(`delete from people where name = 'Bob'`)
    await expect.poll(() => shown(page), patience).toEqual(await inTable())

    await example.proxy.cut()
    await expect.poll(() => stateOf(page), patience).toBe('offline')
    await insert('during the cut')
    await example.query(`delete from people where name = 'Ada'`)
    await example.proxy.mend()
    await expect.poll(() => shown(page), patience).toEqual(await inTable())

    await example.kill()
    await insert('during the restart')
    await example.start()
    await expect.poll(() => shown(page), patience).toEqual(await inTable())

    // Without the trigger, the row arrives only if the page reads the rows again.
    await example.query('alter table people disable trigger data_change_trigger')
    await insert('missed')
    await example.query('alter table people enable trigger data_change_trigger')
    const ended = await example.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'listenql listen'`,
    )
    expect(ended).toHaveLength(1)
    await expect.poll(() => shown(page), patience).toEqual(await inTable())
    expect(await inTable()).toContainEqual(expect.stringContaining('missed'))

    await insert('last')
    await expect.poll(() => shown(page), patience).toEqual(await inTable())
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390)
    expect(watched.outside()).toEqual([])
  }, 90_000)

  it('misses no change between the rows and the events', async () => {
    const watched = await open()
    const { page } = watched
    const heard = page
      .waitForEvent('websocket', socket => socket.url().endsWith('/listen/people'))
      .then(socket =>
        socket.waitForEvent('framereceived', ({ payload }) => String(payload).includes('in between')),
      )
    await page.route('**/api/people', async route => {
      const response = await route.fetch()
      await example.query(`delete from people where name = 'last'`)
      await insert('in between')
      await heard
      await route.fulfill({ response })
    })
    await example.open(watched)
    await page.getByRole('cell', { name: 'in between' }).waitFor()
    expect(await shown(page)).toEqual(await inTable())
    expect(watched.errors()).toEqual([])
  }, 60_000)

  it('does not show rows that arrive after those of a later connection', async () => {
    const watched = await open()
    const { page } = watched
    let release: () => void = () => undefined
    const released = new Promise<void>(resolve => {
      release = resolve
    })
    let first: Promise<void> | undefined
    await page.route('**/api/people', async route => {
      if (first) return route.continue()
      const response = await route.fetch()
      first = released.then(() => route.fulfill({ response }))
    })
    await example.open(watched)
    await expect.poll(() => first !== undefined, patience).toBe(true)
    await example.proxy.cut()
    await insert('after the first rows')
    await example.proxy.mend()
    await expect.poll(() => shown(page), patience).toEqual(await inTable())

    const arrived = page.waitForResponse('**/api/people')
    release()
    await first
    await (await arrived).finished()
    await insert('later still')
    await expect.poll(() => shown(page), patience).toEqual(await inTable())
    expect(await inTable()).toContainEqual(expect.stringContaining('after the first rows'))
  }, 60_000)

  it('lists a payload that is not of a trigger', async () => {
    const watched = await open()
    const { page } = watched
    await example.open(watched)
    await expect.poll(() => stateOf(page), patience).toBe('live')
    await example.query(`select pg_notify('people', 'hello')`)
    await page.getByRole('listitem').getByText('hello').waitFor()
    await insert('after that')
    await expect.poll(() => shown(page), patience).toEqual(await inTable())
    expect(watched.errors()).toEqual([])
  }, 60_000)
})

const stateOf = (page: Page) => page.getByRole('status').textContent()

/** Key, name and age of each row on the page. */
const shown = (page: Page): Promise<string[]> =>
  page.locator('tbody tr').evaluateAll(rows =>
    rows.map(row =>
      [...row.querySelectorAll('td')]
        .slice(0, 3)
        .map(cell => cell.textContent)
        .join(' '),
    ),
  )
