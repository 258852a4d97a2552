import { afterEach, beforeEach, expect, it } from 'vitest'
import { resolveSettings } from '../../../src/config/index.js'
import { createReloadingTables, type ReloadingTables } from '../../../src/server/reload/reloading-tables.js'
import { createLog, type TestLog } from '../../support/log.js'
import { createObserved } from '../../support/observed.js'

let log: TestLog
let tables: ReloadingTables
beforeEach(async () => {
  log = await createLog()
  await log.query('create table one (id int primary key); create table two (id int primary key)')
})
afterEach(async () => {
  await tables?.close()
  await log?.close()
})

it('the checks of the catalogue wait for declared tables at the start, and not after a reload', async () => {
  const observed = createObserved()
  let refreshes = 0
  tables = createReloadingTables(resolveSettings({ tables: ['one'] }), {
    config: { connectionString: log.database.url },
    grantTo: undefined,
    connectTimeout: 5000,
    onWatched: () => refreshes++,
    observe: observed.observe,
  })
  expect(await tables.check('pulse')).toBe(true)
  expect(observed.all('tables.watched')).toMatchObject([{ tables: ['one'] }])

  tables.prepare(resolveSettings({ tables: ['two'] }))()
  expect(refreshes).toBe(1) // it asks for the check that begins the comparison
  expect(await tables.check('pulse')).toBe(false)
  expect(observed.all('tables.watched')).toHaveLength(1)
  await observed.until('tables.watched', {}, 2)
  await expect.poll(() => refreshes).toBe(2)
})
