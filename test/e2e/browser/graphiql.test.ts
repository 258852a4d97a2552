import { readFileSync } from 'node:fs'
import type { Locator, Page } from 'playwright-core'
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

  it('shows the mark of listenql in place of that of Yoga, as a link to the page', async () => {
    const { page, errors } = await open()
    await page.goto(`${server.url}/graphql`)
    const logo = page.locator('.graphiql-logo')
    await expect.poll(() => logo.innerText()).toBe('listenql')
    expect(await page.title()).toBe('listenql')
    const mark = `data:image/svg+xml,${encodeURIComponent(readFileSync('page/public/assets/favicon.svg', 'utf8'))}`
    expect(await page.locator('link[rel=icon]').getAttribute('href')).toBe(mark)
    expect(await logo.locator('img').getAttribute('src')).toBe(mark)
    expect(await widthOf(logo.locator('img'))).toBeGreaterThan(0)
    expect(await logo.locator('svg').count()).toBe(0)
    expect(await page.locator('body').innerText()).not.toContain('Yoga')
    await logo.getByRole('link').click()
    await page.getByRole('heading', { name: 'Channels' }).waitFor()
    expect(page.url()).toBe(`${server.url}/`)
    expect(errors()).toEqual([])
  }, 60_000)

  it('fits on a phone: editor, result and play button are in view while a subscription runs', async () => {
    const { page, outside, violations, errors } = await open({ width: 390, height: 844, isMobile: true })
    // A wide screen of the same browser has hidden the result.
    await page.addInitScript(`localStorage.setItem('graphiql:editorFlex', 'hide-second')`)
    await page.goto(`${server.url}/graphql`)
    await subscribe(page)
    await shows(page, '{"name": "on a phone"}')
    const [editor, result] = ['.graphiql-query-editor', '.result-window'] as const
    for (const pane of [editor, result]) {
      const box = await boxInView(page.locator(pane))
      expect(box.width).toBeGreaterThan(300)
      expect(box.height).toBeGreaterThan(150)
    }
    await boxInView(page.getByRole('button', { name: 'Stop query' }))
    await boxInView(page.locator(`${result} .view-line`).last())
    await stop(page)

    // Documentation covers the panes, until its button is pressed again.
    await page.getByRole('button', { name: 'Show Documentation Explorer' }).tap()
    expect((await boxInView(page.locator('.graphiql-plugin'))).width).toBeGreaterThan(380)
    await page.getByRole('button', { name: 'Hide Documentation Explorer' }).tap()
    await page.locator(`${editor} .view-lines`).tap()
    expect(outside()).toEqual([])
    expect(violations()).toEqual([])
    expect(errors()).toEqual([])
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

/** The natural width of an image, once it is loaded: 0 if it is broken. */
function widthOf(image: Locator): Promise<number> {
  return image.evaluate(async (element: HTMLImageElement) => {
    await element.decode().catch(() => undefined)
    return element.naturalWidth
  })
}

/** The place of an element, which has to be visible and within the window. */
async function boxInView(element: Locator): Promise<{ readonly width: number; readonly height: number }> {
  expect(
    await element.evaluate((shown: HTMLElement) => shown.checkVisibility({ opacityProperty: true })),
  ).toBe(true)
  const box = await element.boundingBox()
  const { innerWidth, innerHeight } = await element.evaluate(() => ({
    innerWidth: window.innerWidth,
    innerHeight: window.innerHeight,
  }))
  if (!box) throw new Error('the element is not shown')
  expect(box.x).toBeGreaterThanOrEqual(0)
  expect(box.y).toBeGreaterThanOrEqual(0)
  expect(box.x + box.width).toBeLessThanOrEqual(innerWidth)
  expect(box.y + box.height).toBeLessThanOrEqual(innerHeight)
  return box
}

/** The result pane may be only partly drawn. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
