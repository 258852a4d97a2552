import pg from 'pg'
import { expect, it } from 'vitest'
import { ask } from '../../src/postgres/lock-retry.js'
import { pinSession } from '../../src/postgres/pinned-settings.js'
import { createTestDatabase } from '../support/postgres.js'

it('compiles none of our own SQL, whatever the database sets', async () => {
  const database = await createTestDatabase()
  await database.query(`alter database ${database.name} set jit = on`)
  const jit = `select pg_catalog.current_setting('jit') as jit`
  const config = { connectionString: database.url }
  const ours = new pg.Client(pinSession(config, { runs: 'ours' }))
  const login = new pg.Client(config)
  try {
    await Promise.all([ours.connect(), login.connect()])
    expect((await login.query(jit)).rows).toEqual([{ jit: 'on' }])
    expect((await ours.query(jit)).rows).toEqual([{ jit: 'off' }])
    expect(await ask(login, jit)).toEqual([{ jit: 'off' }]) // a transaction of a command
    expect((await login.query(jit)).rows).toEqual([{ jit: 'on' }])
  } finally {
    await Promise.all([ours.end(), login.end()])
    await database.close()
  }
})
