import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeInBrowser, type WatchedPage } from '../support/browser.js'
import { type Example, startExample } from '../support/example.js'
import { findNginx } from '../support/nginx.js'

const patience = { timeout: 20_000 }

describeInBrowser('the example chat', open => {
  let example: Example

  beforeAll(async () => {
    example = await startExample('chat')
  }, 60_000)

  afterAll(() => example?.close(), 60_000)

  async function enter(name: string, room: string, opened?: WatchedPage): Promise<WatchedPage> {
    const watched = opened ?? (await open())
    await example.open(watched)
    const { page } = watched
    await page.getByLabel('Name').fill(name)
    await page.getByLabel('Room').selectOption(room)
    await page.getByRole('button', { name: 'Enter' }).click()
    await page.getByRole('heading', { name: room }).waitFor()
    return watched
  }

  const inTable = async (room: string) => {
    const rows = await example.query('select author, body from messages where room = $1 order by id', [room])
    return rows.map(({ author, body }) => `${author} ${body}`)
  }

  const insert = (room: string, body: string) =>
    example.query(`insert into messages (room, author, body) values ($1, 'Dan', $2)`, [room, body])

  it('has rooms, whose messages and members are those of the tables, also after a cut, behind nginx, and after a restart', async () => {
    const ada = await enter('Ada', 'Kitchen')
    const bob = await enter('Bob', 'Kitchen')
    const cleo = await enter('Cleo', 'Garden')
    await ada.page.getByRole('status').getByText('Here: Ada, Bob').waitFor()
    await cleo.page.getByRole('status').getByText('Here: Cleo', { exact: true }).waitFor()

    await say(ada.page, 'Tea is ready')
    await say(cleo.page, 'Anyone here?')
    await bob.page.getByText('Tea is ready').waitFor()
    await say(bob.page, 'Coming!')
    await ada.page.getByText('Coming!').waitFor()
    for (const [{ page }, room] of [
      [ada, 'Kitchen'],
      [bob, 'Kitchen'],
      [cleo, 'Garden'],
    ] as const)
      await expect.poll(() => shown(page), patience).toEqual(await inTable(room))

    await bob.page.close() // no goodbye: its heartbeats stop
    await ada.page.getByRole('status').getByText('Here: Ada', { exact: true }).waitFor()

    await example.proxy.cut()
    await ada.page.getByText('Offline').waitFor()
    await insert('Kitchen', 'during the cut')
    await insert('Garden', 'during the cut, elsewhere')
    await example.proxy.mend()
    await expect.poll(() => shown(ada.page), patience).toEqual(await inTable('Kitchen'))

    if (findNginx() !== undefined) await example.moveBehindNginx()
    await example.proxy.cut()
    await insert('Kitchen', 'during the move')
    await example.proxy.mend()
    await expect.poll(() => shown(ada.page), patience).toEqual(await inTable('Kitchen'))

    await example.kill()
    await insert('Kitchen', 'during the restart')
    await example.start()
    await say(ada.page, 'Still here')
    await ada.page.getByText('Still here').waitFor()
    await expect.poll(() => shown(ada.page), patience).toEqual(await inTable('Kitchen'))
    expect(await shown(ada.page)).toContain('Dan during the restart')
    await expect.poll(() => shown(cleo.page), patience).toEqual(await inTable('Garden'))
    expect([...ada.errors(), ...bob.errors(), ...cleo.errors()]).toEqual([])
  }, 90_000)

  it('reads older messages page by page, up to the first', async () => {
    for (let number = 1; number <= 45; number += 1) await insert('Garden', `line ${number}`)
    const { page, errors } = await enter('Eve', 'Garden')
    const all = await inTable('Garden')
    await expect.poll(() => shown(page), patience).toEqual(all.slice(-20))
    const older = page.getByRole('button', { name: 'Older messages' })
    await older.click()
    await expect.poll(() => shown(page), patience).toEqual(all.slice(-40))
    await older.click()
    await expect.poll(() => shown(page), patience).toEqual(all)
    expect(await older.count()).toBe(0)
    await say(page, 'newest')
    await expect.poll(() => shown(page), patience).toEqual([...all, 'Eve newest'])
    expect(errors()).toEqual([])
  }, 90_000)

  it('misses no message between the history and the channel', async () => {
    const watched = await open()
    await watched.page.routeWebSocket(/\/graphql$/, socket => {
      const server = socket.connectToServer()
      socket.onMessage(async message => {
        if (String(message).includes('channel(')) await insert('Garden', 'in between')
        server.send(message)
      })
    })
    const { page } = await enter('Fay', 'Garden', watched)
    await page.getByText('in between').waitFor()
    await expect.poll(() => shown(page), patience).toEqual((await inTable('Garden')).slice(-21))
  }, 90_000)

  it('refuses the channel and the rows of another room, whatever the page asks', async () => {
    await insert('Kitchen', 'a secret of the kitchen')
    await insert('Garden', 'seen by all in the garden')
    const token = await (await fetch(`${example.url}/api/token?name=Mallory&room=Garden`)).text()
    const ask = async (query: string, accept: string) => {
      const response = await fetch(`${example.url}/graphql`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept },
        body: JSON.stringify({ query }),
      })
      return response.text()
    }
    const stream = await ask('subscription { channel(name: "room:Kitchen") { json } }', 'text/event-stream')
    expect(stream).toContain('CHANNEL_NOT_ALLOWED')
    const rows = await ask('query { messages { rows { room } } }', 'application/json')
    expect(rows).toContain('Garden')
    expect(rows).not.toContain('Kitchen')
  })
})

/** The messages on the screen, without their times. */
const shown = (page: Page): Promise<string[]> =>
  page
    .getByRole('log')
    .locator('p')
    .evaluateAll(messages =>
      messages.map(message =>
        [...message.childNodes]
          .slice(0, -1)
          .map(({ textContent }) => textContent)
          .join('')
          .trim(),
      ),
    )

async function say(page: Page, text: string): Promise<void> {
  const message = page.getByRole('textbox', { name: 'Message' })
  await message.fill(text)
  await page.getByRole('button', { name: 'Send' }).click()
  await expect.poll(() => message.inputValue(), patience).toBe('') // sent
}
