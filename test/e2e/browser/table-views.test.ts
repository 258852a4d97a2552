import type { Page } from 'playwright-core'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../../src/index.js'
import { describeInBrowser } from '../../support/browser.js'
import { createLog, type TestLog } from '../../support/log.js'

const patience = { timeout: 20_000 }

describeInBrowser('views of a table on the page', open => {
  let log: TestLog
  let server: ListenqlServer

  beforeEach(async () => {
    log = await createLog()
    await log.query(`create table people (pk serial primary key, name text, age int, note text);
      insert into people (name, age) select 'n' || g, g % 100 from generate_series(1, 250) g`)
    await log.watch('people')
    server = await createServer({
      databaseUrl: log.database.url,
      host: 'localhost',
      port: 0,
      logLevel: 'silent',
    })
  }, 60_000)
  afterEach(async () => {
    await server?.close()
    await log?.close()
  }, 60_000)

  async function openTable(hash = '', options: Parameters<typeof open>[0] = {}) {
    const opened = await open(options)
    await opened.page.goto(`${server.url}/${hash}`)
    await expect.poll(() => opened.page.locator('#table-status').textContent(), patience).toBe('Live')
    return opened
  }

  it('are filtered by the server, live, and a reload keeps them', async () => {
    const { page, errors } = await openTable()
    await page.getByRole('button', { name: 'Filter' }).click()
    await page.getByLabel('Column').selectOption('age')
    await page.getByLabel('Comparison').selectOption('gte')
    await page.getByLabel('Value').fill('98')
    await expect.poll(() => column(page, 2), patience).toEqual(['99', '98', '99', '98'])
    await log.query('update people set age = 100 where pk = 1')
    await expect.poll(() => column(page, 0), patience).toEqual(['199', '198', '99', '98', '1'])
    await page.reload()
    await expect.poll(() => column(page, 0), patience).toEqual(['199', '198', '99', '98', '1'])

    await page.getByRole('button', { name: 'Add a condition' }).click()
    const second = page.getByRole('group', { name: 'Condition on name' })
    await second.getByLabel('Value').fill('N9%')
    await expect.poll(() => column(page, 1), patience).toEqual(['n99', 'n98'])
    await second.getByRole('button', { name: 'Remove' }).click()
    await expect.poll(() => column(page, 0), patience).toEqual(['199', '198', '99', '98', '1'])
    expect(errors()).toEqual([])
  })

  it('are filtered by what is typed also while rows change all the time', async () => {
    const { page } = await openTable('#&table=people&rows=all')
    await page.getByRole('button', { name: 'Filter' }).click()
    let isOver = false
    const writing = (async () => {
      while (!isOver) await log.query('update people set age = age + 1')
    })()
    try {
      await page.getByLabel('Value').fill('n25%')
      await expect.poll(() => column(page, 1), patience).toEqual(['n250', 'n25'])
    } finally {
      isOver = true
      await writing
    }
  }, 60_000)

  it('are sorted by the server, by a click or a key on the heading', async () => {
    const { page } = await openTable()
    await page.getByRole('button', { name: 'age', exact: true }).click()
    const heading = page.getByRole('columnheader', { name: 'age' })
    await expect.poll(() => heading.getAttribute('aria-sort'), patience).toBe('ascending')
    // Of the 250 rows, not of the 100 that were shown before.
    await expect.poll(async () => (await column(page, 0)).slice(0, 3), patience).toEqual(['100', '200', '1'])
    await page.getByRole('grid').focus()
    for (const key of ['ArrowUp', 'ArrowRight', 'ArrowRight', 'Enter']) await page.keyboard.press(key)
    await expect.poll(() => heading.getAttribute('aria-sort'), patience).toBe('descending')
    await expect.poll(async () => (await column(page, 2))[0], patience).toBe('99')
    expect(new URL(page.url()).hash).toContain('order=-age')
  })

  it('have pages of the size that the user chooses', async () => {
    const { page } = await openTable()
    await page.getByLabel('Rows at a time').selectOption('50')
    await page.getByText('1–50').waitFor()
    await page.getByRole('button', { name: 'Next' }).click()
    await page.getByText('51–100').waitFor()
    await expect.poll(async () => (await column(page, 0))[0], patience).toBe('200')
    // Rows of another page are no changes of this one.
    expect(await page.locator('tr.data[data-light]').count()).toBe(0)
    await log.query(`insert into people (name) values ('new')`)
    await expect.poll(async () => (await column(page, 0))[0], patience).toBe('201')
    await page.goto(`${server.url}/#&rows=50&page=5`)
    await page.reload()
    await expect.poll(async () => (await column(page, 0))[0], patience).toBe('51')
    expect(await page.getByRole('button', { name: 'Next' }).isDisabled()).toBe(false)
    await page.getByRole('button', { name: 'Next' }).click()
    await expect.poll(() => column(page, 0), patience).toEqual(['1'])
    expect(await page.getByRole('button', { name: 'Next' }).isDisabled()).toBe(true)
  })

  it('show the document and the curl line of exactly what is on the screen', async () => {
    const { page } = await openTable(
      `#&table=people&order=name&rows=50&where=${encodeURIComponent('[["age","lt","3"]]')}`,
    )
    await page.getByText('The same in GraphQL and in a terminal').click()
    const document = await page.locator('.copy-panel code').first().textContent()
    expect(document).toBe(
      'subscription { people(where: { age: { lt: 3 } }, orderBy: [{ name: ASC }], limit: 50) { rows { pk name age note } } }',
    )
    const query = String(document).replace('subscription', 'query')
    const response = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query }),
    })
    const { data } = (await response.json()) as { data: { people: { rows: { name: string }[] } } }
    expect(await column(page, 1)).toEqual(data.people.rows.map(({ name }) => name))
    expect(await page.locator('.copy-panel code').nth(1).textContent()).toContain(String(document))
  })

  it('say why a filter is refused, and what to do, until it is changed', async () => {
    const { page } = await open()
    await page.goto(`${server.url}/#&table=people&where=${encodeURIComponent('[["age","lt","many"]]')}`)
    const line = page.locator('.refusal')
    await line.waitFor()
    expect(await line.textContent()).toMatch(/^GRAPHQL_VALIDATION_FAILED people: .*"many".*Change the filter/)
    await page.getByLabel('Value').fill('1')
    await expect.poll(() => column(page, 2), patience).toEqual(['0', '0'])
    await line.waitFor({ state: 'hidden' })
  })

  it('with all rows keep few of them in the document, and follow each change', async () => {
    await log.query(`insert into people (name, age) select 'm' || g, g from generate_series(251, 5000) g`)
    const { page, errors } = await openTable('#&table=people&rows=all')
    await expect.poll(() => page.getByRole('grid').getAttribute('aria-rowcount'), patience).toBe('5001')
    await page.getByText('5,000 rows, 0 changes seen').waitFor()
    const drawn = () => page.locator('tr.data').count()
    expect(await drawn()).toBeGreaterThan(5)
    expect(await drawn()).toBeLessThan(60)
    await page.getByRole('grid').focus()
    for (let i = 0; i < 30; i++) await page.keyboard.press('PageDown')
    expect(await drawn()).toBeLessThan(60)

    // The grid names its active cell as soon as the row is in the document: the first rows still scroll by before that.
    const active = () => page.getByRole('grid').getAttribute('aria-activedescendant')
    await expect.poll(active, patience).not.toBeNull()
    const row = page.locator('tr.data', { has: page.locator(`[id="${await active()}"]`) })
    const [, name] = await row.locator('th, td').allTextContents()
    await log.query('update people set age = -1 where name = $1', [name])
    await expect.poll(() => row.locator('th, td').nth(2).textContent(), patience).toBe('-1')
    await log.query('delete from people where pk <> 17')
    await expect.poll(() => column(page, 0), patience).toEqual(['17'])
    await log.query('truncate people')
    await page.getByText('No rows. Add one').waitFor()
    expect(errors()).toEqual([])
  }, 60_000)

  it('say that all rows are too many, and what to do', async () => {
    await server.close()
    server = await createServer({
      databaseUrl: log.database.url,
      host: 'localhost',
      port: 0,
      logLevel: 'silent',
      maxRows: 200,
    })
    const { page } = await openTable()
    await page.getByLabel('Rows at a time').selectOption('all')
    await page.getByRole('alert').getByText('LIMIT_EXCEEDED').waitFor()
    expect(await page.locator('tr.data').count()).toBe(0)
    await page.getByLabel('Rows at a time').selectOption('50')
    await expect.poll(async () => (await column(page, 0))[0], patience).toBe('250')
    expect(await page.locator('.refusal').count()).toBe(0)
  })

  it('show a long value in full, by key or touch, as it is at the moment', async () => {
    const long = `${'long '.repeat(60)}end`
    await log.query('update people set note = $1 where pk = 250', [long])
    const { page } = await openTable('', { width: 390 })
    await page.getByRole('button', { name: 'Show all of note' }).first().click()
    const panel = page.getByRole('dialog', { name: 'people 250' })
    await panel.getByText(long).waitFor()
    await log.query(`update people set note = 'short' where pk = 250`)
    await panel.getByText('short', { exact: true }).waitFor()
    await log.query('delete from people where pk = 250')
    await panel.getByText('no longer in the list').waitFor()
    await page.keyboard.press('Escape')
    expect(await panel.isVisible()).toBe(false)

    await page.getByRole('grid').focus()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog', { name: 'people 248' }).waitFor()
    await page.keyboard.press('Escape')
    expect(await page.evaluate('document.activeElement.getAttribute("role")')).toBe('grid')
  })

  it('keep the key in sight while the other columns scroll, and show that there are more', async () => {
    const { page } = await openTable('', { width: 390 })
    const sides = () => page.locator('.grid-frame').getAttribute('data-more')
    await expect.poll(sides, patience).toBe('right')
    const left = () => page.evaluate(`document.querySelector('tr.data th').getBoundingClientRect().left`)
    const before = await left()
    await page.getByRole('grid').focus()
    await page.keyboard.press('End')
    await expect.poll(sides, patience).toBe('left')
    expect(await left()).toBe(before)
  })

  it('light up what has changed, and fade it only if the system does not ask for reduced motion', async () => {
    const { page } = await openTable()
    const timing = () =>
      page.evaluate(`getComputedStyle(document.querySelector('td[data-light]')).animationTimingFunction`)
    await log.query('update people set age = 1000 where pk = 250')
    await expect.poll(() => page.locator('td[data-light]').allTextContents(), patience).toEqual(['1000'])
    expect(await timing()).toBe('ease-out')
    await page.emulateMedia({ reducedMotion: 'reduce' })
    expect(await timing()).toBe('steps(1)')
  })

  it('tell a screen reader now and then what has changed', async () => {
    const { page } = await openTable()
    await log.query(`insert into people (name) values ('new'); update people set age = 7 where pk > 248`)
    await expect
      .poll(() => page.getByRole('status').allTextContents(), patience)
      .toContain('1 added, 2 changed, 1 removed')
  })

  it('come first on a narrow screen, and tables are found by name or column', async () => {
    for (let i = 0; i < 6; i++) {
      await log.query(`create table t${i} (id int primary key, special_${i} text)`)
      await log.watch(`t${i}`)
    }
    const { page } = await openTable('#people&table=people', { width: 390 })
    await page.getByLabel('Search tables').waitFor()
    const top = (selector: string) =>
      page.evaluate(`document.querySelector('${selector}').getBoundingClientRect().top`) as Promise<number>
    expect(await top('#tables')).toBeLessThan(await top('#channels'))
    const names = () => page.locator('.picker label:has([type=radio])').allTextContents()
    await expect.poll(async () => (await names()).length, patience).toBe(7)
    await page.getByLabel('Search tables').fill('SPECIAL_3')
    await expect.poll(names, patience).toEqual(['t3'])
    await page.getByLabel('Search tables').fill('nothing')
    await page.getByText('No table matches.').waitFor()
  }, 60_000)
})

/** The cells of the rows that are in the document. */
const cells = (page: Page): Promise<string[][]> =>
  page.evaluate(
    `[...document.querySelectorAll('tr.data')].map(row => [...row.cells].map(cell => cell.textContent))`,
  )

const column = async (page: Page, index: number) => (await cells(page)).map(row => row[index])
