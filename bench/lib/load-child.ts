/** A process of writers, for machines without pgbench: receives LoadOptions as a message, answers with a LoadResult. */
import { once } from 'node:events'
import pg from 'pg'
import { type LoadOptions, type LoadResult, WRITERS } from './load.js'

const [options] = (await once(process, 'message')) as [LoadOptions]
const clients = await Promise.all(
  Array.from({ length: options.writers }, async () => {
    const client = new pg.Client({ connectionString: options.url, application_name: WRITERS })
    await client.connect()
    return client
  }),
)
const query = { name: 'statement', text: options.statement }
const start = performance.now()
const end = start + options.seconds * 1000
const counts = await Promise.all(
  clients.map(async client => {
    let commits = 0
    for (; performance.now() < end; commits++) await client.query(query)
    return commits
  }),
)
const seconds = (performance.now() - start) / 1000
const commits = counts.reduce((sum, count) => sum + count, 0)
await Promise.all(clients.map(client => client.end()))
const result: LoadResult = { commits, perSecond: commits / seconds }
process.send?.(result, () => process.disconnect())
