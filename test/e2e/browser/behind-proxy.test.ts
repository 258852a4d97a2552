import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { createServer, type ServerOptions } from '../../../src/index.js'
import { describeInBrowser } from '../../support/browser.js'
import { findNginx, freePort, startNginx } from '../../support/nginx.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'

const patience = { timeout: 20_000 }
const UPGRADES = `proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";`

interface Case {
  readonly scheme?: 'https'
  /** The path of the page, as the browser sees it. */
  readonly path: string
  /** The directives in the `location`, besides those for WebSockets. */
  readonly location: (backend: number) => string
  readonly options: (origin: string) => ServerOptions
}

/** By default, the proxy replaces the Host header: the server sees `Host: 127.0.0.1:<port>`, for example. */
const CASES: Record<string, Case> = {
  'the defaults of nginx': {
    path: '/',
    location: backend => `location / { proxy_pass http://127.0.0.1:${backend}; ${UPGRADES} }`,
    options: urlBase => ({ urlBase }),
  },
  'a base path': {
    path: '/live/',
    location: backend => `location /live/ { proxy_pass http://127.0.0.1:${backend}; ${UPGRADES} }`,
    options: urlBase => ({ urlBase, basePath: '/live' }),
  },
  'a prefix that the proxy strips': {
    path: '/live/',
    location: backend => `location /live/ { proxy_pass http://127.0.0.1:${backend}/; ${UPGRADES} }`,
    options: origin => ({ urlBase: `${origin}/live` }),
  },
  'a base path that the proxy strips': {
    path: '/live/',
    location: backend => `location /live/ { proxy_pass http://127.0.0.1:${backend}/; ${UPGRADES} }`,
    options: origin => ({ urlBase: `${origin}/live`, basePath: '/live' }),
  },
  'TLS on another port, and a Host without it': {
    scheme: 'https',
    path: '/',
    location: backend =>
      `location / { proxy_pass http://127.0.0.1:${backend}; proxy_set_header Host $host; ${UPGRADES} }`,
    options: urlBase => ({ urlBase }),
  },
  'the name of an upstream as Host': {
    path: '/',
    location: backend => `location / { proxy_pass http://listenql; ${UPGRADES} } # ${backend}`,
    options: urlBase => ({ urlBase }),
  },
}

if (findNginx() === undefined)
  console.warn('Skipped: pages behind nginx. There is none here: apt-get install nginx.')

describeInBrowser('behind nginx, with --url-base', open => {
  let database: TestDatabase
  const cleanUps: (() => unknown)[] = []

  beforeAll(async () => {
    database = await createTestDatabase()
  })
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
  })
  afterAll(() => database?.close())

  it.skipIf(findNginx() === undefined).each(Object.entries(CASES))(
    'page and GraphiQL work: %s',
    async (_what, { scheme = 'http', path, location, options }) => {
      const backend = await freePort()
      const nginx = await startNginx(
        (port, folder) => `
  upstream listenql { server 127.0.0.1:${backend}; }
  server {
    listen ${port}${scheme === 'https' ? ' ssl' : ''};
    ssl_certificate ${folder}/server.crt;
    ssl_certificate_key ${folder}/server.key;
    ${location(backend)}
  }`,
      )
      cleanUps.push(() => nginx.close())
      const origin = `${scheme}://localhost:${nginx.port}`
      const server = await createServer({
        databaseUrl: database.url,
        host: '0.0.0.0', // a server bound to loopback would accept pages of localhost anyway
        port: backend,
        logLevel: 'silent',
        ...options(origin),
      })
      cleanUps.push(() => server.close())
      expect(`${server.url}/`).toBe(`${origin}${path}`)

      const { page, errors } = await open({ ignoreHTTPSErrors: true })
      const refused: string[] = []
      page.on('response', response => {
        if (response.status() >= 400) refused.push(`${response.status()} ${response.url()}`)
      })
      await page.goto(`${server.url}/#people`)
      const card = page.getByRole('article', { name: 'Channel people', exact: true })
      await expect.poll(() => card.getByRole('status').textContent(), patience).toBe('Listening')
      await database.query(`select pg_notify('people', 'through the proxy')`)
      await expect.poll(() => card.locator('pre').allTextContents(), patience).toEqual(['through the proxy'])

      for (const transport of ['sse', 'ws']) {
        await page.goto(`${server.url}/graphql?transport=${transport}`)
        await subscribe(page)
        const seen = async () => {
          await database.query(`select pg_notify('people', 'through_${transport}')`)
          return page.locator('.result-window').innerText()
        }
        await expect.poll(seen, patience).toContain(`through_${transport}`)
        await page.locator('.graphiql-logo').getByRole('link').click()
        await page.waitForURL(`${origin}${path}`)
      }
      expect(refused).toEqual([])
      expect(errors()).toEqual([])
    },
    90_000,
  )
})

async function subscribe(page: Page): Promise<void> {
  await page.locator('.graphiql-query-editor .view-lines').click()
  await page.keyboard.press('ControlOrMeta+A')
  await page.keyboard.insertText('subscription { channel(name: "people") { payload } }')
  await page.getByRole('button', { name: 'Execute query' }).click()
  await page.getByRole('button', { name: 'Stop query' }).waitFor()
}
