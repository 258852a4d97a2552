import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../../src/index.js'
import { describeInBrowser } from '../../support/browser.js'
import { createLog, type TestLog } from '../../support/log.js'
import { snippetsOf } from '../../support/snippets.js'

const patience = { timeout: 20_000 }

const graphql = snippetsOf('README.md').filter(({ language }) => language === 'graphql')

describeInBrowser("README's first minute in GraphiQL", open => {
  let log: TestLog
  let server: ListenqlServer

  beforeAll(async () => {
    log = await createLog()
    await log.query(`create table people (pk serial primary key, name text, age int);
      create table visits (pk serial primary key, person_id int references people, place text);
      insert into people (name, age) values ('Ada', 36)`)
    await log.watch('people', 'visits')
    server = await createServer({
      databaseUrl: log.database.url,
      host: 'localhost',
      port: 0,
      logLevel: 'silent',
    })
  }, 60_000)
  afterAll(async () => {
    await server?.close()
    await log?.close()
  }, 60_000)

  it('begins with a live query, which shows changes of related rows; with `query` it is read once', async () => {
    const { page } = await open()
    await page.goto(`${server.url}/graphql`)
    await page.locator('.graphiql-query-editor').getByText('visitsAggregate').waitFor()
    const stop = page.getByRole('button', { name: 'Stop query' })
    await page.getByRole('button', { name: 'Execute query' }).click()
    await expect.poll(() => shown(page), patience).toContain('"visitsAggregate": { "count": "0" }')
    await log.query(`insert into visits (person_id, place) select pk, 'Library' from people`)
    await expect.poll(() => shown(page), patience).toContain('"place": "Library"')
    expect(await shown(page)).toContain('"visitsAggregate": { "count": "1" }')
    await stop.click()

    await paste(page, '.graphiql-query-editor', graphql[1]?.text ?? '')
    const editor = page.locator('.graphiql-query-editor .view-lines')
    await expect.poll(() => editor.innerText(), patience).not.toContain('subscription')
    const asked = page.waitForResponse(
      response => response.request().postData()?.includes('people(') ?? false,
    )
    await page.getByRole('button', { name: 'Execute query' }).click()
    expect(await (await asked).text()).toContain(
      '"visits":[{"place":"Library"}],"visitsAggregate":{"count":"1"}',
    )
  }, 60_000)

  it('runs as pasted: the list, and its changes after that', async () => {
    const snippet = graphql.find(({ text }) => text.includes('query Adults'))
    const { page } = await open()
    await page.goto(`${server.url}/graphql`)
    await paste(page, '.graphiql-query-editor', snippet?.text ?? '')
    await page.getByRole('tab', { name: 'Adults' }).waitFor() // GraphiQL has parsed the pasted text
    await run(page, 'Adults')
    await expect.poll(() => shown(page), patience).toContain('"name": "Ada"')
    // A long line is wrapped.
    const cursor = /"cursor":"([\w-]+)"/.exec((await shown(page)).replaceAll(' ', ''))?.[1]
    expect(cursor).toBeDefined()

    await log.query('update people set age = 37') // would be missed without the cursor
    await page.getByRole('button', { name: 'Variables', exact: true }).click()
    await paste(page, '.graphiql-editor-tool', JSON.stringify({ after: cursor }))
    await run(page, 'AdultsChanged')
    await expect.poll(() => shown(page), patience).toContain('"operation": "UPDATE"')
    expect(await shown(page)).not.toContain('errors')
  }, 60_000)
})

/** Pastes from the clipboard, as users do, because the editor adds brackets and indentation to typed text. */
async function paste(page: Page, editor: string, text: string): Promise<void> {
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.evaluate(copied => navigator.clipboard.writeText(copied), text)
  await page.locator(`${editor} .view-lines`).first().click()
  await page.keyboard.press('ControlOrMeta+A')
  await page.keyboard.press('ControlOrMeta+V')
}

async function run(page: Page, operation: string): Promise<void> {
  await page.getByRole('button', { name: 'Execute query' }).click()
  await page.getByRole('menuitem', { name: operation, exact: true }).click()
}

async function shown(page: Page): Promise<string> {
  return (await page.locator('.result-window').innerText()).replace(/\s+/g, ' ')
}
