import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { DEMO_TABLES } from '../../schema/demo-tables.js'
import { printSdl } from '../../schema/print.js'
import { readCatalog } from '../../src/catalog/catalog.js'
import { createLog } from '../support/log.js'

it("schema/schema.graphql is the schema that a server prints for the demo's tables", async context => {
  const log = await createLog()
  try {
    const [server] = await log.query('show server_version_num')
    if (Number(server?.server_version_num) < 140000)
      return context.skip(true, 'the demo is for Postgres 14 and newer: CREATE OR REPLACE TRIGGER')
    const demo = readFileSync('sql/demo.sql', 'utf8').replace(/^GRANT .*$/gm, '') // to a login that does not exist here
    await log.query(demo)
    await log.watch('people', 'visits')
    const tables = await readCatalog(await log.connect())
    expect(printSdl(tables)).toBe(readFileSync('schema/schema.graphql', 'utf8'))
    expect(printSdl(DEMO_TABLES)).toBe(printSdl(tables))
  } finally {
    await log.close()
  }
})
