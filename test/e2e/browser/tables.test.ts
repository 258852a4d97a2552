import { type AddressInfo, connect, createServer as createProxy } from 'node:net'
import type { Page } from 'playwright-core'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../../src/index.js'
import { describeInBrowser } from '../../support/browser.js'
import { createLog, type TestLog } from '../../support/log.js'
import { startServerProcess } from '../../support/server-process.js'

const patience = { timeout: 20_000 }

describeInBrowser('the tables on the page', open => {
  let log: TestLog
  let server: ListenqlServer | undefined

  beforeEach(async () => {
    log = await createLog()
  }, 60_000)
  afterEach(async () => {
    await server?.close()
    server = undefined
    await log.close()
  }, 60_000)

  async function start(options: { port?: number } = {}): Promise<ListenqlServer> {
    server = await createServer({
      databaseUrl: log.database.url,
      host: 'localhost',
      port: 0,
      logLevel: 'silent',
      catalogInterval: 50,
      ...options,
    })
    return server
  }

  async function makePeople(): Promise<void> {
    await log.query('create table people (pk serial primary key, name text, age int)')
    await log.watch('people')
  }

  /** Opens a page that shows the table with this name, live. */
  async function openTable(url: string, name: string, options: Parameters<typeof open>[0] = {}) {
    const opened = await open(options)
    await opened.page.goto(url)
    await isLive(opened.page, name)
    return opened
  }

  it('shows existing rows, and rows that appear, change and disappear', async () => {
    await makePeople()
    await log.query(`insert into people (name, age) values ('Paul', 51), ('Colin', null)`)
    const { url } = await start()
    const { page, errors } = await openTable(url, 'people')
    expect(await headings(page)).toEqual(['pk key', 'name', 'age'])
    await shows(page, [
      ['2', 'Colin', 'NULL'],
      ['1', 'Paul', '51'],
    ])
    expect(await page.locator('tbody tr.data[data-light]').count()).toBe(0)

    await log.query(`insert into people (name, age) values ('Ada', 36)`)
    await shows(page, [
      ['3', 'Ada', '36'],
      ['2', 'Colin', 'NULL'],
      ['1', 'Paul', '51'],
    ])
    expect(await page.locator('tbody tr.data[data-light]').allInnerTexts()).toEqual([
      expect.stringContaining('Ada'),
    ])

    await log.query(`update people set age = 65 where name = 'Colin'`)
    await expect.poll(() => page.locator('td[data-light]').allTextContents(), patience).toEqual(['65'])
    await log.query(`delete from people where name = 'Paul'`)
    await shows(page, [
      ['3', 'Ada', '36'],
      ['2', 'Colin', '65'],
    ])
    expect(await count(page)).toBe('2 rows, 3 changes seen')

    await log.query('update people set pk = 10 where pk = 2')
    await shows(page, [
      ['10', 'Colin', '65'],
      ['3', 'Ada', '36'],
    ])
    await log.query('truncate people')
    await shows(page, [])
    await page.getByText('No rows. Add one').waitFor()
    expect(errors()).toEqual([])
  })

  it('says how to watch a table if none is watched, and shows a table once it is watched', async () => {
    const { url } = await start()
    const { page } = await open()
    await page.goto(url)
    await page.getByText('No table is watched yet').waitFor()
    await page.getByText('npx listenql watch TABLE').waitFor()

    await log.query(`create table people (pk serial primary key, name text, age int, height real);
      insert into people (name, age) values ('Paul', 51)`)
    await log.watch('people')
    await isLive(page, 'people')
    await shows(page, [['1', 'Paul', '51', 'NULL']])
    await page.getByText('The same in GraphQL and in a terminal').click()
    await page.getByRole('button', { name: 'Copy: Add a row' }).waitFor()
    await page
      .getByText(
        'subscription { people(orderBy: [{ pk: DESC }], limit: 100) { rows { pk name age height } } }',
        {
          exact: true,
        },
      )
      .waitFor()
    expect(await page.getByText('No table is watched yet').isVisible()).toBe(false)
  })

  it('lets the user choose a table, with the keyboard too, and remembers the choice along with the channels', async () => {
    await makePeople()
    await log.query(`create schema chat; create table chat.messages (id uuid primary key, body text);
      comment on table chat.messages is 'What was said.'; comment on column chat.messages.body is 'As typed.'`)
    await log.watch('chat.messages')
    await log.query(`insert into chat.messages values ('00000000-0000-0000-0000-000000000001', 'hello')`)
    const { url } = await start()
    const { page } = await openTable(`${url}/#news`, 'chat.messages')
    await shows(page, [['00000000-0000-0000-0000-000000000001', 'hello']])
    await page.getByText('What was said.').waitFor()
    expect(await page.getByRole('columnheader', { name: 'body' }).getAttribute('title')).toBe(
      'body: String\nAs typed.',
    )

    await page.getByRole('radio', { name: 'chat.messages' }).focus()
    await page.keyboard.press('ArrowDown')
    await isLive(page, 'people')
    expect(new URL(page.url()).hash).toBe('#news&table=people')
    await page.reload()
    await isLive(page, 'people')
    await page.getByRole('article', { name: 'Channel news' }).waitFor()
    await page.getByRole('button', { name: 'Remove news' }).click()
    expect(new URL(page.url()).hash).toBe('#&table=people')

    await log.query(`select listenql.unwatch('people')`)
    await isLive(page, 'chat.messages')
    expect(await page.getByRole('radio').count()).toBe(0)
  })

  it('says that it reconnects while the server is down, and shows once what was written in the meantime', async () => {
    await makePeople()
    const running = await startServerProcess(log.database.url)
    try {
      const { page, errors } = await openTable(running.url, 'people')
      await log.query(`insert into people (name) values ('before'), ('gone')`)
      await shows(page, [
        ['2', 'gone', 'NULL'],
        ['1', 'before', 'NULL'],
      ])
      await running.kill()
      await expect.poll(() => state(page), patience).toBe('Reconnecting…')
      await log.query(`insert into people (name) values ('while it was away')`)
      await log.query(`update people set age = 1 where name = 'before'`)
      await log.query(`delete from people where name = 'gone'`)
      await running.start()
      await isLive(page, 'people')
      await shows(page, [
        ['3', 'while it was away', 'NULL'],
        ['1', 'before', '1'],
      ])
      expect(await count(page)).toBe('2 rows, 5 changes seen')

      await running.stop()
      await expect.poll(() => state(page), patience).toBe('Reconnecting…')
      await log.query('update people set age = age + 1')
      await running.start()
      await isLive(page, 'people')
      await shows(page, [
        ['3', 'while it was away', 'NULL'],
        ['1', 'before', '2'],
      ])
      expect(await count(page)).toBe('2 rows, 6 changes seen') // an age of NULL stays NULL
      expect(errors()).toEqual([])
    } finally {
      await running.kill()
    }
  }, 90_000)

  it('reads the table again when its position has expired', async () => {
    await makePeople()
    await log.query(`insert into people (name) values ('first')`)
    const first = await start()
    const { page } = await openTable(first.url, 'people')
    await first.close()
    await log.query(`select listenql.unwatch('people')`)
    await log.query(`insert into people (name) values ('nobody logged this')`)
    await log.query(`delete from people where name = 'first'`)
    await log.watch('people')
    await start({ port: first.port })
    await shows(page, [['2', 'nobody logged this', 'NULL']])
    await isLive(page, 'people')
    await log.query(`insert into people (name) values ('live again')`)
    await shows(page, [
      ['3', 'live again', 'NULL'],
      ['2', 'nobody logged this', 'NULL'],
    ])
  }, 60_000)

  it('follows a table that is altered while it is shown', async () => {
    await makePeople()
    await log.query(`insert into people (name, age) values ('Paul', 51)`)
    const { url } = await start()
    const { page, errors } = await openTable(url, 'people')
    await log.query(`alter table people add column height real default 1.5`)
    await expect.poll(() => headings(page), patience).toEqual(['pk key', 'name', 'age', 'height'])
    await shows(page, [['1', 'Paul', '51', '1.5']])
    await log.query('alter table people drop column age')
    await expect.poll(() => headings(page), patience).toEqual(['pk key', 'name', 'height'])
    await isLive(page, 'people')
    await log.query(`update people set height = 'NaN'`)
    await shows(page, [['1', 'Paul', 'not shown']])
    await log.query('alter table people rename column name to "who?"')
    await expect.poll(() => headings(page), patience).toEqual(['pk key', 'who?', 'height'])
    await log.query('update people set height = 2')
    await shows(page, [['1', 'Paul', '2']])
    expect(errors()).toEqual([])
  }, 60_000)

  it('shows the changes of a table without a key as they arrive, and loses none over a restart', async () => {
    await log.query('create table readings (sensor text, value numeric)')
    await log.watch('readings')
    const first = await start()
    const { page } = await openTable(first.url, 'readings')
    await page.getByText('has no primary key').waitFor()
    await page.getByText('No change yet.').waitFor()
    await log.query(`insert into readings values ('a', 1.50)`)
    await expect.poll(() => changes(page), patience).toEqual([['inserted', 'a', '1.50']])

    await first.close()
    await expect.poll(() => state(page), patience).toBe('Reconnecting…')
    await log.query(`update readings set value = 2.50`)
    await log.query(`delete from readings`)
    await start({ port: first.port })
    await isLive(page, 'readings')
    await log.query(`truncate readings`)
    await expect
      .poll(() => changes(page), patience)
      .toEqual([
        ['emptied', 'the whole table'],
        ['deleted', 'a', '2.50'],
        ['updated', 'a', '2.50'],
        ['inserted', 'a', '1.50'],
      ])
  }, 60_000)

  it('shows names, comments and values as text, whatever they contain', async () => {
    const evil = `<img src=x onerror="document.title='broken'">`
    await log.query(`create table "${evil.replaceAll('"', '""').slice(0, 60)}" ("1st & <b>" text primary key, "and" text, "a""b" jsonb);
      comment on column "${evil.replaceAll('"', '""').slice(0, 60)}"."and" is '<script>1</script>'`)
    const [row] = await log.query(`select relname from pg_class where relname like '<img%' and relkind = 'r'`)
    const name = String(row?.relname)
    const quoted = `"${name.replaceAll('"', '""')}"`
    await log.query(`comment on table ${quoted} is '<i>comment</i>'`)
    await log.watch(quoted)
    const { url } = await start()
    const { page, errors, violations } = await openTable(url, name)
    await log.query(`insert into ${quoted} values ($1, $2, $3)`, [
      evil,
      '',
      JSON.stringify({ [evil]: [evil] }),
    ])
    expect(await headings(page)).toEqual(['1st & <b> key', 'and', 'a"b'])
    const json = `{${JSON.stringify(evil)}: [${JSON.stringify(evil)}]}`
    await shows(page, [[evil, '(empty)', json]])
    expect(await page.getByText('<i>comment</i>').count()).toBe(1)
    expect(await page.locator('#tables :is(img, b, i, script)').count()).toBe(0)
    expect(await page.title()).toBe('listenql')
    expect([errors(), violations()]).toEqual([[], []])
  })

  it('shows the newest 100 of many rows, says so, and fills up again after deletions', async () => {
    await makePeople()
    await log.query(`insert into people (name) select 'n' || g from generate_series(1, 150) g`)
    const { url } = await start()
    const { page } = await openTable(url, 'people')
    const first = async () => (await rows(page))[0]?.[0]
    const last = async () => {
      await scrollTo(page, 'end')
      const found = (await rows(page)).at(-1)?.[0]
      await scrollTo(page, 'start')
      return found
    }
    await expect.poll(first, patience).toBe('150')
    await expect.poll(last, patience).toBe('51')
    await page.getByText('These are 100 rows by pk, greatest first. There are more.').waitFor()
    await log.query(`insert into people (name) values ('one more')`)
    await expect.poll(first, patience).toBe('151')
    await expect.poll(last, patience).toBe('52')
    await log.query('delete from people where pk > 141')
    await expect.poll(first, patience).toBe('141')
    await expect.poll(last, patience).toBe('42')
    await log.query('delete from people where pk <= 140')
    await shows(page, [['141', 'n141', 'NULL']])
    await expect.poll(() => page.locator('#table-more').textContent(), patience).toBe('')
  })

  it('keeps up with a burst, and draws the final state', async () => {
    await makePeople()
    await log.query(`insert into people (name, age) select 'n' || g, 0 from generate_series(1, 50) g`)
    const { url } = await start()
    const { page } = await openTable(url, 'people')
    for (let i = 0; i < 100; i++) await log.query('update people set age = age + 1')
    const ages = async () => [...new Set((await rows(page)).map(([, , age]) => age))]
    await expect.poll(ages, patience).toEqual(['100'])
    expect(await count(page)).toMatch(/^50 rows, /)
  })

  it('retries where a browser gives up: after a handshake that a proxy answers', async () => {
    await makePeople()
    const { port } = await start()
    let refusals = 0
    const proxy = createProxy(socket => {
      socket.once('data', chunk => {
        if (/^upgrade:/im.test(String(chunk)) && refusals < 2) {
          refusals += 1
          return socket.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
        }
        const server = connect(port, 'localhost')
        server.write(chunk)
        socket.pipe(server).pipe(socket)
        for (const end of [socket, server]) end.on('error', () => undefined)
      })
    })
    await new Promise<void>(done => proxy.listen(0, 'localhost', done))
    try {
      const { page } = await open()
      await page.goto(`http://localhost:${(proxy.address() as AddressInfo).port}`)
      await isLive(page, 'people')
      expect(refusals).toBe(2)
      await log.query(`insert into people (name) values ('Paul')`)
      await shows(page, [['1', 'Paul', 'NULL']])
    } finally {
      proxy.close()
    }
  })

  it('ends its subscription when the tab is hidden for a while, and catches up', async () => {
    await makePeople()
    const { url } = await start()
    const { page } = await open()
    const sent: string[] = []
    page.on('websocket', socket => socket.on('framesent', ({ payload }) => sent.push(String(payload))))
    const completed = () => sent.filter(text => text.includes('"complete"')).length
    await page.clock.install()
    await page.goto(url)
    await isLive(page, 'people')
    await setHidden(page, true)
    await page.clock.fastForward(31_000)
    // The subscription lingers for a moment, as after every component that has left.
    await page.clock.fastForward(2_000)
    await expect.poll(completed, patience).toBe(1)
    await log.query(`insert into people (name) values ('unseen')`)
    await setHidden(page, false)
    await shows(page, [['1', 'unseen', 'NULL']])
    await isLive(page, 'people')
  })

  it('fits into a narrow window: a wide table scrolls inside its box, which the keyboard can reach', async () => {
    await log.query(
      `create table wide (id int primary key, ${Array.from({ length: 20 }, (_, i) => `column_number_${i} text default 'value ${i}'`).join()})`,
    )
    await log.watch('wide')
    await log.query('insert into wide values (1)')
    const { url } = await start()
    const { page, outside, violations } = await openTable(url, 'wide', { width: 360, colorScheme: 'dark' })
    await expect.poll(() => rows(page).then(all => all[0]?.length), patience).toBe(21)
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
    await page.getByRole('grid', { name: 'wide' }).focus()
    for (let i = 0; i < 5; i++) await page.keyboard.press('ArrowRight')
    await expect
      .poll(() => page.evaluate('document.querySelector(".grid-box").scrollLeft'), patience)
      .toBeGreaterThan(0)
    expect([outside(), violations()]).toEqual([[], []])
  })
})

const state = (page: Page) => page.locator('#table-status').textContent()
const count = (page: Page) => page.locator('#table-count').textContent()

async function isLive(page: Page, name: string): Promise<void> {
  const shown = async () => [await page.locator('#table-name').textContent(), await state(page)]
  await expect.poll(shown, patience).toEqual([name, 'Live'])
}

const headings = async (page: Page) =>
  (await page.locator('thead th').allTextContents()).map(text => text.trim())

/** The cells of the rows that are in the document. */
const rows = (page: Page): Promise<string[][]> =>
  page.evaluate(
    `[...document.querySelectorAll('#tables tr.data')].map(row => [...row.cells].map(cell => cell.textContent))`,
  )

const scrollTo = (page: Page, end: 'start' | 'end') =>
  page.evaluate(`{
    const box = document.querySelector('.grid-box')
    box.scrollTo(0, ${end === 'end' ? 'box.scrollHeight' : 0})
    // Drawn in the next frame.
    new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)))
  }`)

/** Like `rows`, without the time. */
const changes = async (page: Page) => (await rows(page)).map(([, ...cells]) => cells)

async function shows(page: Page, expected: readonly (readonly string[])[]): Promise<void> {
  await expect.poll(() => rows(page), patience).toEqual(expected)
}

const setHidden = (page: Page, hidden: boolean) =>
  page.evaluate(`{
    Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true })
    document.dispatchEvent(new Event('visibilitychange'))
  }`)
