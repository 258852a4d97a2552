import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { createServer } from '../../../src/index.js'
import { describeInBrowser } from '../../support/browser.js'
import { createLog } from '../../support/log.js'

describeInBrowser('the page of a server that runs trusted documents only', open => {
  it('says that it can show nothing, and why', async () => {
    const log = await createLog()
    const folder = mkdtempSync(join(tmpdir(), 'listenql-page-'))
    const trustedDocuments = join(folder, 'documents.json')
    writeFileSync(trustedDocuments, JSON.stringify({ a: '{ channels }' }))
    const server = await createServer({
      databaseUrl: log.database.url,
      host: 'localhost',
      port: 0,
      trustedDocuments,
      trustedDocumentsOnly: true,
      logLevel: 'silent',
    })
    try {
      await log.query('create table people (id int primary key)')
      await log.watch('people')
      const { page } = await open()
      await page.goto(`${server.url}/`)
      await page.locator('.refusal').waitFor()
      expect(await page.locator('.refusal').textContent()).toMatch(
        /^DOCUMENT_NOT_TRUSTED .*can show nothing of this server.*--trusted-documents-only/,
      )
      expect(await page.locator('#tables .placeholder').textContent()).toContain(
        'only the documents that its operator',
      )
    } finally {
      await server.close()
      await log.close()
      rmSync(folder, { recursive: true })
    }
  })
})
