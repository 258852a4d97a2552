/** The server of the benchmark of live queries, which also counts how often it reads. Its first argument is the URL of the database. */
import pg from 'pg'
import { answer } from './answer.js'
import { startListenql } from './servers/listenql.js'

let reads = 0
const { query } = pg.Client.prototype
// Every read of a query has the same beginning; see src/snapshots/snapshot-images.ts.
pg.Client.prototype.query = function (this: pg.Client, ...given: unknown[]) {
  if (
    (given[0] as { text?: string } | undefined)?.text?.startsWith(
      'select case when pg_catalog.octet_length(image)',
    )
  )
    reads++
  return (query as (...all: unknown[]) => unknown).apply(this, given)
} as typeof query

const port = startListenql(process.argv[2] ?? '', { maxLiveQueries: 100_000 })

const methods = {
  port: (_: null) => port,
  state(_: null): { reads: number; cpu: number } {
    const { user, system } = process.cpuUsage()
    return { reads, cpu: user + system }
  },
}
export type LiveMethods = typeof methods

answer(methods)
