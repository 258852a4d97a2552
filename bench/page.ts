/**
 * Whether the page keeps up: it shows all of 5,000 rows in Chromium while a writer changes 100 rows a second, each in a transaction of
 * its own. Counts frames by requestAnimationFrame, at rest and while the list scrolls, without changes and with them. A frame that
 * comes later than one and a half intervals is dropped.
 *
 *   npm run bench:page -- [--rows N] [--rate N] [--seconds N] [--url URL] [--directory DIR]
 */
import { cpus, release } from 'node:os'
import { parseArgs } from 'node:util'
import pg from 'pg'
import type { Page } from 'playwright-core'
import { createServer } from '../src/index.js'
import { formatTable } from '../src/lib/table.js'
import { launchChromium } from '../test/support/browser.js'
import { createBenchDatabase } from './lib/database.js'
import { median, quantile } from './lib/statistics.js'

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '5000' },
    rate: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '10' },
    url: { type: 'string' },
    directory: { type: 'string' },
  },
})
const seconds = Number(values.seconds)
const HEADS = [
  '',
  'changes',
  'frames',
  'dropped',
  'interval p50',
  'p99',
  'longest',
  'main thread busy',
  'changes shown',
  'rows in the document',
]

const database = await createBenchDatabase(values)
const server = await createServer({
  databaseUrl: database.url,
  host: 'localhost',
  port: 0,
  logLevel: 'silent',
})
const browser = await launchChromium()
try {
  await database.query(`create table orders (id serial primary key, customer text not null, state text not null,
    total numeric(10, 2) not null, items int not null, placed timestamptz not null default now(), note text, address jsonb)`)
  await database.query(
    `insert into orders (customer, state, total, items, note, address)
      select 'customer ' || g, (array['open', 'paid', 'sent'])[1 + g % 3], g * 1.25, g % 9, repeat('note ', g % 12),
        jsonb_build_object('street', 'Harbour Road ' || g, 'city', 'Port ' || g % 50)
        from generate_series(1, $1::int) g`,
    [values.rows],
  )
  await database.query(`select listenql.watch('orders')`)
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
  await page.goto(`${server.url}/#&table=orders&rows=all`)
  await page.getByText(`${Number(values.rows).toLocaleString('en')} rows`).waitFor()
  const rows: string[][] = []
  for (const rate of [0, Number(values.rate)]) {
    for (const scrolls of [false, true]) rows.push(await measure(page, rate, scrolls))
  }
  console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model}, Linux ${release()}`)
  console.log(`Chromium ${browser.version()}, headless, without a GPU; PostgreSQL ${database.version}\n`)
  console.log(
    formatTable(
      HEADS.map((name, i) => ({ name, align: i < 1 ? ('left' as const) : ('right' as const) })),
      rows,
    ),
  )
} finally {
  await browser.close()
  await server.close()
  await database.close()
}

async function measure(page: Page, rate: number, scrolls: boolean): Promise<string[]> {
  const before = await seen(page)
  const session = await page.context().newCDPSession(page)
  await session.send('Performance.enable')
  const busySeconds = async () => {
    const { metrics } = await session.send('Performance.getMetrics')
    return metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN
  }
  const busyBefore = await busySeconds()
  const stop = rate > 0 ? await startWriter(rate) : async () => undefined
  const found = (await page.evaluate(`new Promise(resolve => {
    const box = document.querySelector('.grid-box')
    const intervals = []
    let last
    const began = performance.now()
    const frame = now => {
      if (last !== undefined) intervals.push(now - last)
      last = now
      if (${scrolls}) box.scrollTop = (box.scrollTop + 20) % (box.scrollHeight - box.clientHeight)
      if (now - began < ${seconds * 1000}) requestAnimationFrame(frame)
      else resolve({ intervals, drawn: document.querySelectorAll('tr.data').length })
    }
    requestAnimationFrame(frame)
  })`)) as { readonly intervals: readonly number[]; readonly drawn: number }
  const busy = (await busySeconds()) - busyBefore
  await stop()
  const { intervals, drawn } = found
  const usual = median(intervals)
  const dropped = intervals.reduce((sum, interval) => sum + Math.max(0, Math.round(interval / usual) - 1), 0)
  const ms = (value: number) => `${value.toFixed(1)} ms`
  return [
    scrolls ? 'scrolling' : 'at rest',
    `${rate}/s`,
    String(intervals.length),
    String(dropped),
    ms(usual),
    ms(quantile(intervals, 0.99)),
    ms(Math.max(...intervals)),
    `${((100 * busy) / seconds).toFixed(0)} %`,
    String((await seen(page)) - before),
    String(drawn),
  ]
}

async function seen(page: Page): Promise<number> {
  const text = (await page.locator('#table-count').textContent()) ?? ''
  return Number(/([\d,]+) changes? seen/.exec(text)?.[1]?.replaceAll(',', '') ?? 0)
}

/** @returns a function that ends the writer */
async function startWriter(rate: number): Promise<() => Promise<void>> {
  const writer = new pg.Client(database.url)
  await writer.connect()
  let isOver = false
  const began = performance.now()
  const done = (async () => {
    for (let i = 1; !isOver; i++) {
      const id = 1 + Math.floor(Math.random() * Number(values.rows))
      await writer.query('update orders set items = items + 1, placed = now() where id = $1', [id])
      await new Promise(resolve =>
        setTimeout(resolve, Math.max(0, began + (i * 1000) / rate - performance.now())),
      )
    }
  })()
  return async () => {
    isOver = true
    await done
    await writer.end()
  }
}
