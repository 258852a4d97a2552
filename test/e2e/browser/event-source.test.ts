import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { describeInBrowser } from '../../support/browser.js'
import { createLog, type TestLog } from '../../support/log.js'
import { type ServerProcess, startServerProcess } from '../../support/server-process.js'

const patience = { timeout: 30_000 }
const QUERY = 'subscription { peopleChanged { operation row { pk } } }'

describeInBrowser('a bare EventSource', open => {
  let log: TestLog
  let server: ServerProcess
  let last: number

  beforeAll(async () => {
    log = await createLog()
    await log.query('create table people (pk int primary key, name text)')
  }, 60_000)
  beforeEach(async () => {
    await log.query('truncate people')
    await log.watch('people')
    last = 0
    server = await startServerProcess(log.database.url)
  }, 60_000)
  afterEach(async () => {
    await server.kill()
    await log.query(`select listenql.unwatch('people')`)
  })
  afterAll(() => log.close())

  /** Plain browser code: an EventSource, and a listener that records what arrives. */
  async function follow(): Promise<Page> {
    const { page } = await open()
    await page.goto(`${server.url}/healthz`)
    await page.evaluate(`{
      globalThis.noted = []
      globalThis.opened = 0
      globalThis.source = new EventSource('/graphql?query=' + encodeURIComponent(${JSON.stringify(QUERY)}))
      source.onopen = () => { opened += 1 }
      source.addEventListener('next', ({ data, lastEventId }) => {
        const { data: changed, errors } = JSON.parse(data)
        if (errors) noted.push(errors[0].extensions.code + ' id=' + lastEventId)
        else noted.push(changed.peopleChanged.operation + ' ' + changed.peopleChanged.row.pk)
      })
    }`)
    await opened(page, 1)
    return page
  }

  async function insert(rows = 1): Promise<void> {
    for (let i = 0; i < rows; i++)
      await log.query('insert into people values ($1, $2)', [++last, `row ${last}`])
  }

  /** Waits until the page has recorded every row once, in order. */
  async function allCame(page: Page): Promise<void> {
    const all = Array.from({ length: last }, (_, index) => `INSERT ${index + 1}`)
    await expect.poll(() => noted(page).then(lines => lines.length), patience).toBeGreaterThanOrEqual(last)
    expect(await noted(page)).toEqual(all)
  }

  /** Writes rows as fast as one connection can while `action` runs. */
  async function whileWriting(action: () => Promise<void>): Promise<void> {
    const state = { over: false }
    const writing = (async () => {
      while (!state.over) await insert()
    })()
    try {
      await action()
    } finally {
      state.over = true
      await writing
    }
  }

  it('loses nothing and gets nothing twice when the server is killed and started again', async () => {
    const page = await follow()
    await insert(3)
    await allCame(page)
    await whileWriting(async () => {
      await server.kill()
      await server.start()
      await opened(page, 2)
    })
    await insert(3)
    await allCame(page)
  }, 90_000)

  it('reconnects after a graceful stop of the server, and gets the rows written in between', async () => {
    const page = await follow()
    await insert(3)
    await allCame(page)
    await server.stop()
    await insert(3)
    await server.start()
    await allCame(page)
    await insert(3)
    await allCame(page)
  }, 90_000)

  it('needs no event to have a position: a quiet stream gets the rows written while the server was down', async () => {
    const page = await follow()
    await server.kill()
    await insert(3)
    await server.start()
    await allCame(page)
  }, 90_000)

  it('learns that its position has expired, forgets it, and continues live', async () => {
    const page = await follow()
    await insert(1)
    await allCame(page)
    await server.kill()
    await log.query(`select listenql.unwatch('people')`)
    await insert(1) // no client will ever receive it
    await log.watch('people')
    await server.start()
    await expect.poll(() => noted(page), patience).toEqual(['INSERT 1', 'CURSOR_EXPIRED id='])
    await opened(page, 3) // the second request was refused
    await insert(1)
    await expect.poll(() => noted(page), patience).toEqual(['INSERT 1', 'CURSOR_EXPIRED id=', 'INSERT 3'])
  }, 90_000)

  it('with a document that can never work reconnects rarely, and learns why', async () => {
    const page = await follow()
    const asked: string[] = []
    page.on('request', request => asked.push(new URL(request.url()).searchParams.get('query') ?? ''))
    const documents = [
      'subscription {',
      'subscription { nothing }',
      'subscription { channel(name: "") { gap } }',
    ]
    for (const query of documents) {
      await page.evaluate(`{
        const source = new EventSource('/graphql?query=' + encodeURIComponent(${JSON.stringify(query)}))
        source.addEventListener('next', ({ data }) => noted.push(JSON.parse(data).errors[0].extensions.code))
      }`)
    }
    await expect
      .poll(async () => (await noted(page)).sort(), patience)
      .toEqual(['CHANNEL_NAME_INVALID', 'GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED'])
    // In the meantime, one that works reconnects again and again, after a second each time.
    for (let times = 2; times <= 4; times++) {
      await server.kill()
      await server.start()
      await opened(page, times)
    }
    expect(asked.filter(query => query !== QUERY).sort()).toEqual(documents.sort())
  }, 90_000)

  it('with a rejected position in its URL reconnects rarely too', async () => {
    const page = await follow()
    const asked: string[] = []
    page.on('request', request => asked.push(request.url()))
    await page.evaluate(`{
      const url = '/graphql?query=' + encodeURIComponent(${JSON.stringify(QUERY)}) + '&extensions=' + encodeURIComponent('{"after":"x"}')
      const source = new EventSource(url)
      source.addEventListener('next', ({ data }) => noted.push(JSON.parse(data).errors[0].extensions.code))
    }`)
    await expect.poll(() => noted(page), patience).toEqual(['CURSOR_INVALID'])
    for (let times = 2; times <= 3; times++) {
      await server.kill()
      await server.start()
      await opened(page, times)
    }
    expect(asked.filter(url => url.includes('extensions'))).toHaveLength(1)
  }, 90_000)
})

/** What the page recorded: changes, and codes of refusals. */
const noted = (page: Page) => page.evaluate<string[]>('noted')

/** Waits until the server has accepted the stream for the nth time. */
const opened = (page: Page, times: number) => expect.poll(() => page.evaluate('opened'), patience).toBe(times)
