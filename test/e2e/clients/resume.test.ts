import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { createLog, type TestLog } from '../../support/log.js'
import { type Change, RESUMING_CLIENTS } from '../../support/resuming-clients.js'
import { type ServerProcess, startServerProcess } from '../../support/server-process.js'
import { waitUntil } from '../../support/wait.js'

// All clients of `listenql/client` at once, each with and without `cursor` in its document, over servers in
// separate processes that are killed while the clients are connected.

/**
 * The rows of one test only: a subscription that starts right after the previous test may still receive its
 * events.
 */
const documents = (run: number) => ({
  'with cursor': `subscription { peopleChanged(where: { run: { eq: ${run} } }) { operation cursor row { pk } } }`,
  'without cursor': `subscription { peopleChanged(where: { run: { eq: ${run} } }) { operation row { pk } } }`,
})

/** What one subscription of one client has received. */
interface Follower {
  readonly name: string
  /** `INSERT 1`, or `! CODE` for an error, or `end`. */
  readonly lines: string[]
  readonly changes: Change[]
}

let log: TestLog
let servers: readonly [ServerProcess, ServerProcess]
let run = 0
let last = 0
const cleanUps: (() => unknown)[] = []

beforeAll(async () => {
  log = await createLog()
  await log.query('create table people (run int, pk int, primary key (run, pk))')
  await log.watch('people')
  const { url } = log.database
  servers = await Promise.all([startServerProcess(url), startServerProcess(url)])
}, 60_000)
beforeEach(() => {
  run++
  last = 0
})
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})
afterAll(async () => {
  await Promise.all((servers ?? []).map(server => server.kill()))
  await log?.close()
})

const addressOf = ({ url }: ServerProcess) => `${url.replace('http', 'ws')}/graphql`

/** Subscribes with every client and document; resolves once the server has accepted all of them. */
async function followAll(url: () => string): Promise<Follower[]> {
  let accepted = 0
  const all: Follower[] = []
  for (const [name, connect] of Object.entries(RESUMING_CLIENTS)) {
    for (const [how, query] of Object.entries(documents(run))) {
      const on = { ping: (isReceived: boolean) => void (isReceived && accepted++) }
      const client = connect({ url, on })
      cleanUps.push(() => client.close())
      const follower: Follower = { name: `${name} ${how}`, lines: [], changes: [] }
      client.follow(query, {
        change(change) {
          follower.changes.push(change)
          follower.lines.push(`${change.operation} ${change.row?.pk}`)
        },
        error: code => follower.lines.push(`! ${code}`),
        end: () => follower.lines.push('end'),
      })
      all.push(follower)
    }
  }
  await waitUntil(() => accepted >= all.length, 'all to be accepted')
  return all
}

/** Inserts rows in one statement. */
async function insert(rows = 1): Promise<void> {
  await log.query('insert into people select $1, pk from generate_series($2::int, $3::int) pk order by pk', [
    run,
    last + 1,
    last + rows,
  ])
  last += rows
}

/** Each has all rows, once and in order, and nothing else. */
async function expectAll(followers: readonly Follower[]): Promise<void> {
  const all = Array.from({ length: last }, (_, index) => `INSERT ${index + 1}`)
  const isDone = () => followers.every(({ lines }) => lines.length >= last)
  await waitUntil(isDone, 'all rows').catch(() => undefined) // the comparison below shows which rows are missing
  for (const { name, lines } of followers) expect({ name, lines }).toEqual({ name, lines: all })
}

/** Resolves once each has received more than before. */
async function resumed(followers: readonly Follower[]): Promise<void> {
  const before = last
  await waitUntil(() => followers.every(({ lines }) => lines.length > before), 'rows to arrive')
}

/** Writes rows while `action` runs, at a rate that clients on a busy machine can follow. */
async function whileWriting(action: () => Promise<void>): Promise<void> {
  const state = { over: false }
  const writing = (async () => {
    for (let i = 0; !state.over; i++) {
      await insert(i % 50 === 0 ? 50 : 1)
      await log.query('select pg_sleep(0.002)')
    }
  })()
  try {
    await action()
  } finally {
    state.over = true
    await writing
  }
}

it('clients lose and duplicate nothing when the server is killed and started again', async () => {
  const [server] = servers
  const followers = await followAll(() => addressOf(server))

  // No event so far: the clients only know the position at which they were accepted.
  await server.kill()
  await insert(3)
  await server.start()
  await expectAll(followers)

  await whileWriting(async () => {
    await resumed(followers)
    await server.kill()
    await server.start()
  })
  await insert(3)
  await expectAll(followers)

  for (const { name, changes } of followers) {
    const asked = name.endsWith('with cursor')
    expect(changes.every(({ cursor }) => (asked ? typeof cursor === 'string' : cursor === undefined))).toBe(
      true,
    )
  }
}, 90_000)

it('clients lose and duplicate nothing when the server is stopped gracefully', async () => {
  const [server] = servers
  const followers = await followAll(() => addressOf(server))
  await insert(3)
  await whileWriting(async () => {
    await server.stop()
    await server.start()
  })
  await expectAll(followers)
}, 90_000)

it('clients lose and duplicate nothing when another server takes over, and then the first one again', async () => {
  const [one, other] = servers
  let attempts = 0
  // Each attempt goes to the next server, as with a load balancer that has no health checks.
  const followers = await followAll(() => addressOf(attempts++ % 2 === 0 ? one : other))
  await insert(3)
  await whileWriting(async () => {
    await one.kill()
    await resumed(followers)
    await one.start()
    await other.kill()
    await resumed(followers)
    await other.start()
  })
  await expectAll(followers)
}, 90_000)

it('a position that has expired ends each subscription with that code, and nothing follows', async () => {
  const [server] = servers
  const followers = await followAll(() => addressOf(server))
  await insert(1)
  await expectAll(followers)
  await server.kill()
  await log.query(`select listenql.unwatch('people')`)
  await insert(1) // no client will ever receive it
  await log.watch('people')
  await server.start()
  await waitUntil(() => followers.every(({ lines }) => lines.length > 1), 'the errors of all')
  const others = await followAll(() => addressOf(server))
  await insert(1)
  await waitUntil(() => others.every(({ lines }) => lines.length > 0), 'the others to go on')
  for (const { name, lines } of others) expect({ name, lines }).toEqual({ name, lines: ['INSERT 3'] })
  for (const { name, lines } of followers) {
    const received = lines.filter(line => line !== 'end') // Apollo Client reports that as well
    expect({ name, lines: received }).toEqual({ name, lines: ['INSERT 1', '! CURSOR_EXPIRED'] })
  }
}, 90_000)
