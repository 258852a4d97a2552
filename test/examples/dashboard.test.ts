import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createRandom } from '../stress/random.js'
import { describeInBrowser } from '../support/browser.js'
import { type Example, startExample } from '../support/example.js'
import { findNginx } from '../support/nginx.js'

/** What `select` says that the screen has to show. */
const SELECT = `
  with shown as (
    select * from orders where placed_on > (now() at time zone 'UTC')::date - 14 and country like '%COUNTRY%'
  ), sold as (select * from shown where state <> 'cancelled')
  select json_build_object(
    'sold', (select array[count(*)::text, sum(amount)::text, avg(amount)::text] from sold),
    'states', (select json_agg(array[state, n::text] order by state) from (select state, count(*) n from shown group by state) s),
    'products', (select json_agg(array[product, n::text, total::text] order by product)
      from (select product, count(*) n, sum(amount) total from sold group by product) p),
    'days', (select json_agg(array[placed_on::text, n::text, total::text] order by placed_on)
      from (select placed_on, count(*) n, sum(amount) total from sold group by placed_on) d),
    'latest', (select json_agg(array[id::text, country, product, state, amount::text] order by id desc)
      from (select * from shown order by id desc limit 8) o)
  )`

type Groups = readonly (readonly string[])[]

interface State {
  readonly sold: readonly [count: string, sum: string, avg: string]
  readonly states: Groups
  readonly products: Groups
  readonly days: Groups
  readonly latest: Groups
}

const inEuro = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' })
const euro = (amount: string | undefined) => inEuro.format(amount as `${number}`)

/** The texts of the screen: tiles, then the rows of the tables. */
function screenOf({ sold: [count, sum, average], states, products, days, latest }: State): string[] {
  const withAmount = (rows: Groups) => rows.map(row => [...row.slice(0, -1), euro(row.at(-1))].join(' '))
  return [
    `Revenue ${euro(sum)}`,
    `Orders sold ${count}`,
    `Average ${euro(average)}`,
    ...states.map(row => row.join(' ')),
    ...withAmount(products),
    ...withAmount(days),
    ...withAmount(latest),
  ]
}

/** Records each screen that the page shows from now on in `screens`, as a text. */
const RECORD = `
  const read = () => [...document.querySelectorAll('dl > div, tbody > tr')]
    .map(line => [...line.children].map(cell => cell.textContent).join(' '))
  globalThis.screens = []
  const take = () => {
    const screen = JSON.stringify(read())
    if (screen !== screens.at(-1)) screens.push(screen)
  }
  take()
  new MutationObserver(take).observe(document, { subtree: true, childList: true, characterData: true })
`
const countScreens = (page: Page) => page.evaluate<number>('screens.length')
const recorded = (page: Page) => page.evaluate<string[]>('screens')
const shown = async (page: Page) => JSON.parse((await recorded(page)).at(-1) ?? '[]')

describeInBrowser('examples/dashboard', open => {
  let example: Example

  beforeAll(async () => {
    example = await startExample('dashboard')
    await example.query('create table audit (n serial, state json)')
  })

  afterAll(() => example?.close())

  async function selected(country = '%'): Promise<string[]> {
    const [row] = await example.query(SELECT.replace('%COUNTRY%', country))
    return screenOf(row?.json_build_object as State)
  }

  /** Writes until the returned function is called. Each transaction also records the state that it makes. */
  function write(page: Page, seed: number): () => Promise<void> {
    const random = createRandom(seed, 'writer')
    const some = () => `id % 50 = ${random.int(0, 49)}`
    const statements = [
      () => 'select place_order()',
      () => `select place_order(current_date - ${random.int(0, 20)}) from generate_series(1, 3)`,
      () =>
        `update orders set state = '${random.pick(['open', 'paid', 'shipped', 'cancelled'])}' where ${some()}`,
      () => `update orders set amount = amount + ${random.int(1, 999) / 100} where ${some()}`,
      () => `update orders set placed_on = current_date - ${random.int(0, 20)} where ${some()}`,
      () => `delete from orders where id % 500 = ${random.int(0, 499)}`,
    ]
    let stopped = false
    const done = (async () => {
      while (!stopped) {
        const own = Array.from({ length: random.int(1, 4) }, () => random.pick(statements)())
        // The lock gives the states one order: that of the commits.
        await example.query(
          `begin; lock table audit in exclusive mode; ${own.join('; ')}; insert into audit (state) ${SELECT.replace('%COUNTRY%', '%')}; commit`,
        )
        await countScreens(page) // The writers leave the page the time to render.
      }
    })()
    return () => {
      stopped = true
      return done
    }
  }

  async function untilMoreStates(): Promise<void> {
    const count = async () => Number((await example.query('select count(*) from audit'))[0]?.count)
    const before = await count()
    await expect.poll(count).toBeGreaterThan(before + 10)
  }

  async function untilMoreScreens(page: Page): Promise<void> {
    const before = await countScreens(page)
    await expect.poll(() => countScreens(page)).toBeGreaterThan(before + 2)
  }

  it('each screen is a state of the table, while two writers write, the connection is lost, the server moves behind nginx and is killed', {
    timeout: 120_000,
  }, async () => {
    const watched = await open()
    const { page } = watched
    const first = await selected()
    await example.open(watched)
    await page.getByRole('term').first().waitFor()
    await page.evaluate(RECORD)
    await expect.poll(() => shown(page)).toEqual(first)

    const writers = [write(page, 1), write(page, 2)]
    await untilMoreScreens(page)
    await example.proxy.cut()
    await expect.poll(() => page.getByRole('status').textContent()).toMatch(/^offline since/)
    await untilMoreStates()
    await example.proxy.mend()
    await untilMoreScreens(page)
    if (findNginx() !== undefined) await example.moveBehindNginx()
    await example.proxy.cut()
    await untilMoreStates()
    await example.proxy.mend()
    await untilMoreScreens(page)
    await example.kill()
    await untilMoreStates()
    await example.start()
    await untilMoreScreens(page)
    await Promise.all(writers.map(stop => stop()))

    const last = await selected()
    await expect.poll(() => shown(page)).toEqual(last)
    const audit = await example.query('select state from audit')
    const states = new Set(
      [first, ...audit.map(({ state }) => screenOf(state as State))].map(state => JSON.stringify(state)),
    )
    expect((await recorded(page)).filter(screen => !states.has(screen))).toEqual([])
    expect(watched.errors()).toEqual([])
    expect(watched.outside()).toEqual([])
  })

  it('the bars are as high as the numbers, of a country too, and fit on a narrow screen', async () => {
    const watched = await open({ width: 390 })
    const { page } = watched
    await example.open(watched)
    const select = page.getByRole('combobox', { name: 'Country' })
    await select.focus()
    await page.keyboard.press('I')
    await page.evaluate(RECORD)
    await expect.poll(() => shown(page)).toEqual(await selected('Italy'))

    const totals = (
      await example.query(
        "select sum(amount) from orders where country = 'Italy' and state <> 'cancelled' and placed_on > (now() at time zone 'UTC')::date - 14 group by product order by product",
      )
    ).map(({ sum }) => Number(sum))
    const bars = page.locator('.recharts-bar-rectangle path')
    await expect.poll(() => bars.count()).toBe(totals.length)
    const heights = await bars.evaluateAll(all => all.map(bar => Number(bar.getAttribute('height'))))
    for (const [i, height] of heights.entries())
      expect(height / (totals[i] as number)).toBeCloseTo((heights[0] as number) / (totals[0] as number), 5)
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390)
    expect(watched.errors()).toEqual([])
  })
})
