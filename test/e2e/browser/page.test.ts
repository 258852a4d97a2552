import type { Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../../src/index.js'
import { describeInBrowser } from '../../support/browser.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'

const interrupted = 'connection was interrupted here: notifications may have been missed'
const patience = { timeout: 15_000 }

describeInBrowser('the page', open => {
  let database: TestDatabase
  let server: ListenqlServer

  const start = (options: Partial<Parameters<typeof createServer>[0]> = {}) =>
    createServer({ databaseUrl: database.url, host: 'localhost', port: 0, logLevel: 'silent', ...options })
  const notify = (channel: string, payload: string) =>
    database.query('select pg_notify($1, $2)', [channel, payload])

  beforeAll(async () => {
    database = await createTestDatabase()
    server = await start()
  }, 60_000)

  afterAll(async () => {
    await server?.close()
    await database?.close()
  }, 60_000)

  it('connects to a channel and shows its payloads, newest first: JSON formatted, everything else as text', async () => {
    const { page } = await open()
    await page.goto(server.url)
    await expect.poll(() => page.getByLabel('Enter a channel name').inputValue()).toBe('people')
    await page.getByRole('button', { name: 'Connect', exact: true }).click()
    const people = await listening(page, 'people')

    await notify('people', '{"name":"Paul","age":51,"height":1.90,"big":9007199254740993}')
    await notify('people', 'hello, <b>world</b>')
    await notify('people', '<img src=x onerror="document.title=1">')
    await notify('people', '')
    await expect
      .poll(() => payloads(people), patience)
      .toEqual([
        '(empty)',
        '<img src=x onerror="document.title=1">',
        'hello, <b>world</b>',
        '{\n  "name": "Paul",\n  "age": 51,\n  "height": 1.90,\n  "big": 9007199254740993\n}',
      ])
    await expect.poll(() => people.locator('.count').textContent()).toBe('4 messages')
    expect(await people.locator('img, b').count()).toBe(0)
    expect(await page.title()).toBe('listenql')
  })

  it('shows several channels at once, keeps them over a reload, and removes them', async () => {
    const { page } = await open()
    const odd = `Größe, "a" 'b' & c/d?e#f%20`
    await page.goto(server.url)
    await connect(page, 'chat')
    await connect(page, odd)
    await listening(page, 'chat')
    await listening(page, odd)

    await page.reload()
    const chat = await listening(page, 'chat')
    const other = await listening(page, odd)
    await notify('chat', 'for chat')
    await notify(odd, 'for the other')
    await expect.poll(() => payloads(chat), patience).toEqual(['for chat'])
    await expect.poll(() => payloads(other), patience).toEqual(['for the other'])

    await other.getByRole('button', { name: 'Remove' }).click()
    await expect.poll(() => other.count()).toBe(0)
    expect(new URL(page.url()).hash).toBe('#chat')
  })

  it('disconnects and connects again', async () => {
    const { page } = await open()
    await page.goto(`${server.url}/#people`)
    const people = await listening(page, 'people')
    await people.getByRole('button', { name: 'Disconnect people' }).click()
    await expect.poll(() => people.getByRole('status').textContent()).toBe('Disconnected')
    await notify('people', 'while the page is disconnected')
    await people.getByRole('button', { name: 'Connect people' }).click()
    await listening(page, 'people')
    await notify('people', 'after')
    await expect.poll(() => payloads(people), patience).toEqual(['after'])
  })

  it('keeps the last 200 payloads of a burst, and counts all of them', async () => {
    const { page } = await open()
    await page.goto(`${server.url}/#burst`)
    const burst = await listening(page, 'burst')
    await database.query(`select pg_notify('burst', g::text) from generate_series(1, 20000) g`)
    await expect.poll(() => burst.locator('.count').textContent(), patience).toBe('20,000 messages')
    const shown = await payloads(burst)
    expect(shown).toEqual(Array.from({ length: 200 }, (_, index) => String(20_000 - index)))
  })

  it('reconnects automatically when the database connection was lost, and marks the gap', async () => {
    const { page } = await open()
    await page.goto(`${server.url}/#people`)
    const people = await listening(page, 'people')
    await notify('people', 'before')
    await expect.poll(() => payloads(people), patience).toEqual(['before'])

    await database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where application_name like 'listenql%' and datname = current_database() and pid <> pg_backend_pid()`,
    )
    await expect.poll(() => people.locator('li').first().textContent(), patience).toBe(interrupted)
    await listening(page, 'people')
    await notify('people', 'after')
    await expect.poll(() => payloads(people), patience).toEqual(['after', 'before'])
    const marks = await people.locator('li').allTextContents()
    expect(marks[1]).toBe(interrupted)
  })

  it('says why a channel was refused, and stops trying', async () => {
    const strict = await start({ channels: ['people'] })
    try {
      const { page } = await open()
      const sent: string[] = []
      page.on('websocket', socket => socket.on('framesent', ({ payload }) => sent.push(String(payload))))
      await page.goto(`${strict.url}/#secret,people`)
      await listening(page, 'people')
      const secret = card(page, 'secret')
      await expect
        .poll(() => secret.getByRole('status').textContent(), patience)
        .toBe(`requested channel 'secret' is not allowed`)
      expect(await secret.getByRole('button', { name: 'Connect secret' }).count()).toBe(1)
      expect(sent.filter(text => text.includes('"secret"'))).toHaveLength(1)
    } finally {
      await strict.close()
    }
  })

  it('works under a base path, and reconnects when the server is back', async () => {
    const first = await start({ basePath: '/live' })
    const { page, errors } = await open()
    try {
      await page.goto(`${first.url}/#people`)
      await listening(page, 'people')
      await notify('people', 'under a base path')
      await expect.poll(() => payloads(card(page, 'people')), patience).toEqual(['under a base path'])
      expect(await page.getByText('curl -N -G').first().textContent()).toContain('/live/graphql')
    } finally {
      await first.close()
    }
    await expect
      .poll(() => card(page, 'people').locator('li').first().textContent(), patience)
      .toBe(interrupted)
    const second = await start({ basePath: '/live', port: first.port })
    try {
      await listening(page, 'people')
      await notify('people', 'from the second server')
      await expect.poll(() => payloads(card(page, 'people')), patience).toContain('from the second server')
      expect(errors()).toEqual([])
    } finally {
      await second.close()
    }
  })

  it('makes no outside request, and its content security policy is in force without a violation', async () => {
    const { page, outside, requests, violations, errors } = await open()
    await page.goto(`${server.url}/#people,chat`)
    await listening(page, 'people')
    await listening(page, 'chat')
    await page.getByText('From a terminal').click()
    await page.getByRole('button', { name: 'Copy: Listen with curl' }).click()
    expect(requests().length).toBeGreaterThan(5)
    expect(outside()).toEqual([])
    expect(violations()).toEqual([])
    expect(errors()).toEqual([])

    await page.evaluate(`{
      const script = document.createElement('script')
      script.textContent = 'document.title = "inline"'
      document.head.append(script)
    }`)
    await expect.poll(() => violations().length).toBe(1)
    expect(await page.title()).toBe('listenql')
  })
})

const card = (page: Page, channel: string) =>
  page.getByRole('article', { name: `Channel ${channel}`, exact: true })

async function connect(page: Page, channel: string): Promise<void> {
  await page.getByLabel('Enter a channel name').fill(channel)
  await page.getByRole('button', { name: 'Connect', exact: true }).click()
}

/** Waits until the channel's card says that it listens: notifications from then on must arrive. */
async function listening(page: Page, channel: string): Promise<Locator> {
  const found = card(page, channel)
  await expect.poll(() => found.getByRole('status').textContent(), patience).toBe('Listening')
  return found
}

const payloads = (found: Locator) => found.locator('pre').allTextContents()
