import { afterAll, beforeAll, expect, it } from 'vitest'
import { createServer } from '../../../src/index.js'
import { describeInBrowser } from '../../support/browser.js'
import { type PrivatePostgres, startPrivatePostgres } from '../../support/postgres.js'

describeInBrowser('the page while the database is down', open => {
  let postgres: PrivatePostgres
  beforeAll(async () => {
    postgres = await startPrivatePostgres()
  }, 120_000)
  afterAll(() => postgres.close())

  const start = () =>
    createServer({
      databaseUrl: postgres.url,
      host: 'localhost',
      port: 0,
      logLevel: 'silent',
      reconnectMax: 100,
    })
  const NOTICE = 'The database cannot be reached. What is shown here may be out of date'
  const EMPTY = 'No table is watched yet'

  it('does not claim that no table is watched, and shows the tables once the database is up', async () => {
    await postgres.stop('fast')
    const server = await start()
    try {
      const { page } = await open()
      await page.goto(server.url)
      await page.getByText(NOTICE).waitFor()
      await page.getByText('it is not known which tables are watched').waitFor()
      expect(await page.getByText(EMPTY).isVisible()).toBe(false)
      await postgres.start()
      await page.getByRole('heading', { name: 'people', exact: true }).waitFor()
      await page.getByText(NOTICE).waitFor({ state: 'hidden' })
      expect(await page.getByText(EMPTY).isVisible()).toBe(false)
    } finally {
      await server.close()
    }
  }, 60_000)

  it('warns while the database is down under an open page', async () => {
    const server = await start()
    try {
      const { page } = await open()
      await page.goto(server.url)
      await page.getByText('Live', { exact: true }).waitFor()
      expect(await page.getByText(NOTICE).isVisible()).toBe(false)
      await postgres.stop('fast')
      await page.getByText(NOTICE).waitFor()
      await postgres.start()
      await page.getByText(NOTICE).waitFor({ state: 'hidden' })
      expect(await page.getByRole('heading', { name: 'people', exact: true }).isVisible()).toBe(true)
    } finally {
      await server.close()
    }
  }, 60_000)
})
