/** The server of the benchmark of live queries, which also counts how often it reads. Its first argument is the URL of the database. */
import { writeFile } from 'node:fs/promises'
import { Session } from 'node:inspector/promises'
import pg from 'pg'
import { answer } from './answer.js'
import { startListenql } from './servers/listenql.js'

let reads = 0
const { query } = pg.Client.prototype
// A read is a statement of its own with this beginning, or an EXECUTE in a message; see `limitedSql` and `quickMessage`.
pg.Client.prototype.query = function (this: pg.Client, ...given: unknown[]) {
  const text = String((given[0] as { text?: string } | undefined)?.text)
  if (text.startsWith('select case when pg_catalog.octet_length(image)')) reads++
  // One of them is the question about the tables.
  else if (text.includes('from listenql.cut()')) reads += text.split('; execute ').length - 2
  return (query as (...all: unknown[]) => unknown).apply(this, given)
} as typeof query

const port = startListenql(process.argv[2] ?? '', { maxLiveQueries: 100_000 })

const session = new Session()

const methods = {
  port: (_: null) => port,
  state(_: null): { reads: number; cpu: number } {
    const { user, system } = process.cpuUsage()
    return { reads, cpu: user + system }
  },
  async startProfile(_: null): Promise<void> {
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Profiler.start')
  },
  async stopProfile(file: string): Promise<void> {
    const { profile } = await session.post('Profiler.stop')
    session.disconnect()
    await writeFile(file, JSON.stringify(profile))
  },
}
export type LiveMethods = typeof methods

answer(methods)
