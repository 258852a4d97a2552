import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../src/index.js'
import { describeInBrowser } from '../support/browser.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'

// The examples of pg_eventserv are files that people open from their disk, with its address written into them.
describeInBrowser('a page opened from the disk', open => {
  let database: TestDatabase
  let server: ListenqlServer
  let folder: string

  beforeAll(async () => {
    database = await createTestDatabase()
    server = await createServer({ databaseUrl: database.url, host: 'localhost', port: 0, logLevel: 'silent' })
    folder = await mkdtemp(join(tmpdir(), 'listenql-page-'))
  }, 60_000)

  afterAll(async () => {
    await server?.close()
    await database?.close()
    await rm(folder, { recursive: true, force: true })
  }, 60_000)

  it('may listen while the server is bound to loopback', async () => {
    const file = join(folder, 'changes.html')
    await writeFile(
      file,
      `<!doctype html>
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
`,
    )
    const { page } = await open()
    await page.goto(pathToFileURL(file).href)
    await expect.poll(() => page.locator('#state').textContent(), { timeout: 15_000 }).toBe('open')
    await database.query(`select pg_notify('changes', '{"name": "Colin"}')`)
    await expect.poll(() => page.locator('li').allTextContents(), { timeout: 15_000 }).toEqual(['Colin'])
  })
})
