import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../../src/index.js'
import { describeInBrowser } from '../../support/browser.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'

/** A page like pg_eventserv's examples, with the address of the server in it. */
const pageFor = (server: ListenqlServer) => `<!doctype html>
<title>changes</title>
<p id="state">connecting</p>
<ul id="changes"></ul>
<script>
  const socket = new WebSocket("${server.url.replace('http', 'ws')}/listen/changes")
  const show = text => { document.getElementById("state").textContent = text }
  socket.onopen = () => show("open")
  socket.onclose = event => show("closed " + event.code)
  socket.onmessage = event => {
    const item = document.createElement("li")
    item.textContent = JSON.parse(event.data).name
    document.getElementById("changes").append(item)
  }
</script>
`

describeInBrowser('a page that is not ours', open => {
  let database: TestDatabase
  let server: ListenqlServer
  let opened: ListenqlServer
  let folder: string
  let elsewhere: Server

  beforeAll(async () => {
    database = await createTestDatabase()
    const options = { databaseUrl: database.url, host: 'localhost', port: 0, logLevel: 'silent' } as const
    server = await createServer(options)
    opened = await createServer({ ...options, corsOrigins: ['null'] })
    folder = await mkdtemp(join(tmpdir(), 'listenql-page-'))
    elsewhere = createHttpServer((_request, response) => {
      response.setHeader('content-type', 'text/html')
      response.end(pageFor(server))
    })
    await new Promise<void>(resolve => elsewhere.listen(0, '127.0.0.1', resolve))
  }, 60_000)

  afterAll(async () => {
    elsewhere?.close()
    await server?.close()
    await opened?.close()
    await database?.close()
    await rm(folder, { recursive: true, force: true })
  }, 60_000)

  async function goTo(url: string, state: string) {
    const { page } = await open()
    await page.goto(url)
    await expect.poll(() => page.locator('#state').textContent(), { timeout: 15_000 }).toBe(state)
    return page
  }

  async function expectEvents(page: Awaited<ReturnType<typeof goTo>>) {
    await database.query(`select pg_notify('changes', '{"name": "Colin"}')`)
    await expect.poll(() => page.locator('li').allTextContents(), { timeout: 15_000 }).toEqual(['Colin'])
  }

  it('may listen if it is served from localhost, on any port, while the server is bound to loopback', async () => {
    await expectEvents(await goTo(`http://localhost:${(elsewhere.address() as AddressInfo).port}/`, 'open'))
  })

  it('may listen from a file only if the origin null is allowed, because a frame in any web page can have that origin', async () => {
    for (const [target, state] of [
      [server, 'closed 1006'],
      [opened, 'open'],
    ] as const) {
      const file = join(folder, 'changes.html')
      await writeFile(file, pageFor(target))
      const page = await goTo(pathToFileURL(file).href, state)
      if (state === 'open') await expectEvents(page)
    }
  })
})
