import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../../src/index.js'
import { describeInBrowser } from '../../support/browser.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'

const patience = { timeout: 20_000 }

describeInBrowser('GraphiQL', open => {
  let database: TestDatabase
  let server: ListenqlServer

  beforeAll(async () => {
    database = await createTestDatabase()
    server = await createServer({ databaseUrl: database.url, host: 'localhost', port: 0, logLevel: 'silent' })
  }, 60_000)

  afterAll(async () => {
    await server?.close()
    await database?.close()
  }, 60_000)

  it('subscribes over SSE, with no request leaving the machine', async () => {
    const { page, outside, requests, violations } = await open()
    await page.goto(`${server.url}/graphql`)
    const asked = page.waitForRequest(
      request => request.headers().accept?.includes('text/event-stream') ?? false,
    )
    await subscribe(page)
    const request = await asked
    await shows(page, '{"name": "over SSE"}')

    const stopped = page.waitForEvent('requestfailed', failed => failed === request)
    await stop(page)
    await stopped
    expect(requests().filter(url => url.startsWith('ws:'))).toEqual([])
    expect(outside()).toEqual([])
    expect(violations()).toEqual([])
  }, 60_000)

  it('subscribes over WebSocket, with no request leaving the machine', async () => {
    const { page, outside, violations } = await open()
    const connected = page.waitForEvent('websocket')
    await page.goto(`${server.url}/graphql?transport=ws`)
    await subscribe(page)
    const socket = await connected
    await shows(page, '{"name": "over WebSocket"}')

    const completed = socket.waitForEvent('framesent', ({ payload }) =>
      String(payload).includes('"complete"'),
    )
    await stop(page)
    await completed
    expect(outside()).toEqual([])
    expect(violations()).toEqual([])
  }, 60_000)

  it('runs no injected script', async () => {
    const { page, violations } = await open()
    await page.goto(`${server.url}/graphql`)
    await page.locator('.graphiql-query-editor .view-lines').waitFor()
    await page.evaluate(`{
      const script = document.createElement('script')
      script.textContent = 'document.title = "inline"'
      document.head.append(script)
    }`)
    await expect.poll(() => violations().length).toBe(1)
    expect(await page.title()).not.toBe('inline')
  }, 60_000)

  /** Types the subscription and runs it. */
  async function subscribe(page: Page): Promise<void> {
    await page.locator('.graphiql-query-editor .view-lines').click()
    await page.keyboard.press('ControlOrMeta+A')
    await page.keyboard.insertText('subscription { channel(name: "people") { payload json gap } }')
    await page.getByRole('button', { name: 'Execute query' }).click()
    await page.getByRole('button', { name: 'Stop query' }).waitFor()
  }

  /** Creates events until one appears in the result pane, because GraphiQL does not show when its subscription was accepted. */
  async function shows(page: Page, payload: string): Promise<void> {
    const seen = async () => {
      await database.query('select pg_notify($1, $2)', ['people', payload])
      const text = (await page.locator('.result-window').innerText()).replace(/\s+/g, ' ')
      return text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)
    }
    const expected = { data: { channel: { payload, json: JSON.parse(payload), gap: false } } }
    await expect.poll(async () => parsed(await seen()), patience).toEqual(expected)
  }

  async function stop(page: Page): Promise<void> {
    await page.getByRole('button', { name: 'Stop query' }).click()
    await page.getByRole('button', { name: 'Execute query' }).waitFor()
  }
})

/** The result pane may be only partly drawn. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
