import { expect, it } from 'vitest'
import { createClosablePool } from '../../src/postgres/closable-pool.js'
import { createTestDatabase } from '../support/postgres.js'

it('close() rejects the requests that wait for a connection', async () => {
  const database = await createTestDatabase()
  const { pool, close } = createClosablePool({ connectionString: database.url, max: 1 })
  await pool.query('select 1')
  const idle = pool.query('select 2') // Handed out in the next tick.
  const closed = close()
  await expect(idle).rejects.toThrow('closed')
  await closed
  await expect(pool.query('select 3')).rejects.toThrow()

  const other = createClosablePool({ connectionString: database.url, max: 1 })
  const client = await other.pool.connect()
  const queued = other.pool.query('select 4') // All connections are in use.
  const otherClosed = other.close()
  await expect(queued).rejects.toThrow('closed')
  client.release()
  await otherClosed
  await database.close()
})
