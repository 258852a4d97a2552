import { expect, it } from 'vitest'
import { openConnection } from '../../src/postgres/connection.js'
import { connectionOptions } from '../../src/postgres/conninfo.js'
import { createTestDatabase } from '../support/postgres.js'

it('a connection reports its loss, has no time limits, and ends with its signal or with close()', async () => {
  const database = await createTestDatabase()
  const stop = new AbortController()
  const config = connectionOptions(database.url)
  const open = (signal: AbortSignal, onLost?: () => void) =>
    openConnection({
      config: { ...config, application_name: 'listenql test', statement_timeout: 9000 },
      connectTimeout: 10_000,
      queryTimeout: 10_000,
      ...(onLost && { onLost }),
      signal,
    })
  try {
    let lose = () => {}
    const isLost = new Promise<void>(resolve => {
      lose = resolve
    })
    const killed = await open(stop.signal, lose)
    expect(killed.lost).toBe(undefined)
    expect(await killed.query('select current_setting($1) as timeout', ['statement_timeout'])).toEqual([
      { timeout: '0' },
    ])
    await database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'listenql test'`,
    )
    await isLost
    expect(killed.lost).toBeInstanceOf(Error)
    killed.destroy()

    const closed = await open(stop.signal)
    await closed.close()
    await expect(closed.query('select 1')).rejects.toThrow()

    const stopped = await open(stop.signal)
    const pending = stopped.query('select pg_sleep(1000)')
    stop.abort(new Error('stopped'))
    await expect(pending).rejects.toThrow()
    await expect(open(stop.signal)).rejects.toThrow('stopped')
  } finally {
    stop.abort()
    await database.close()
  }
})
