import { createServer, type ListenqlServer, type ServerOptions } from '../../../src/index.js'
import type { MetricName } from '../../../src/telemetry/metrics/metrics.js'
import { overGraphqlWs, type Start, type TestSubscription } from '../../support/clients.js'
import { query } from '../../support/graphql-request.js'
import { createLog, type TestLog } from '../../support/log.js'
import { readValue } from '../../support/metrics.js'
import { SECRET } from '../../support/tokens.js'
import { createRoles, type TestRoles } from '../../support/viewer-roles.js'
import { waitUntil } from '../../support/wait.js'

/** Makes a metric move, on a real server. Rejects if it does not. */
export type Move = (world: World) => Promise<void>

/** A database with a watched table `people`, and servers on it. */
export interface World {
  readonly log: TestLog
  readonly roles: TestRoles
  /** A server with these options; the same one for equal options. */
  server(options?: ServerOptions): Promise<ListenqlServer>
  /** A server whose viewers have roles. */
  secured(): Promise<ListenqlServer>
  /** Another database and a server on it, for a test that damages it. */
  elsewhere(options?: ServerOptions): Promise<{ readonly log: TestLog; readonly server: ListenqlServer }>
  subscribe(document: string, server?: ListenqlServer, start?: Start): Promise<TestSubscription>
  /** Resolves once the value of a metric differs after an action from that before. */
  moves(name: MetricName, act: () => Promise<unknown>, options?: MoveOptions): Promise<void>
  close(): Promise<void>
}

export interface MoveOptions {
  readonly server?: ListenqlServer
  readonly labels?: Readonly<Record<string, string>>
}

export const PEOPLE = 'subscription { peopleChanged { operation } }'

export async function createWorld(): Promise<World> {
  const logs: TestLog[] = []
  const servers = new Map<string, Promise<ListenqlServer>>()
  const subscriptions: TestSubscription[] = []

  async function makeLog(): Promise<TestLog> {
    const made = await createLog()
    logs.push(made)
    await made.query('create table people (pk serial primary key, name text)')
    await made.watch('people')
    return made
  }

  async function start(on: TestLog, options: ServerOptions): Promise<ListenqlServer> {
    const server = await createServer({
      databaseUrl: on.database.url,
      port: 0,
      metricsPort: 0,
      logLevel: 'silent',
      catalogInterval: 50,
      ...options,
    })
    if (!options.jwtSecret && !options.authenticate && !options.databaseUrl)
      await waitUntil(
        () => query(server.url, '{ people { rows { pk } } }').catch(() => undefined),
        'the table',
      )
    return server
  }

  const log = await makeLog()
  const roles = await createRoles(log)
  const world: World = {
    log,
    roles,
    server(options = {}) {
      const key = JSON.stringify(options, (_, value) => (typeof value === 'function' ? String(value) : value))
      const server = servers.get(key) ?? start(log, options)
      servers.set(key, server)
      return server
    },
    secured: () =>
      world.server({ jwtSecret: SECRET, jwtClockTolerance: 1, roleChannels: { [roles.user]: ['people'] } }),
    async elsewhere(options = {}) {
      const other = await makeLog()
      const server = start(other, options)
      servers.set(other.database.name, server)
      return { log: other, server: await server }
    },
    async subscribe(document, server, start = {}) {
      const { url } = server ?? (await world.server())
      const subscription = await overGraphqlWs(url, document, {}, start)
      subscriptions.push(subscription)
      return subscription
    },
    async moves(name, act, { server, labels } = {}) {
      const of = server ?? (await world.server())
      const before = (await readValue(of, name, labels)) ?? 0
      await act()
      await waitUntil(
        async () => ((await readValue(of, name, labels)) ?? before) !== before,
        `${name} to move`,
      )
    },
    async close() {
      for (const { close } of subscriptions) await close()
      for (const server of servers.values()) await (await server).close()
      await roles.drop()
      for (const each of logs) await each.close()
    },
  }
  return world
}

/** Writes a row, which one change of `people` reports. */
export const addPerson = ({ log }: Pick<World, 'log'>) =>
  log.query(`insert into people (name) values ('Ada')`)
