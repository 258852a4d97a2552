import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import pg from 'pg'
import { expect } from 'vitest'
import { parse } from 'yaml'
import { freePort } from '../../src/embedded/free-port.js'
import { overListen } from './clients.js'
import { listeningUrl } from './listening-url.js'
import type { PidOne } from './pid-one.js'
import { startPrivatePostgres } from './postgres.js'
import { waitUntil } from './wait.js'

const FOLDER = resolve(import.meta.dirname, '../../deploy/container')
const read = (file: string) => readFile(join(FOLDER, file), 'utf8')

type Name = 'postgres' | 'install' | 'watch' | 'listenql'
interface Service {
  readonly command: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly secrets: readonly { readonly source: string }[]
}

/** What takes the place of an engine for containers. */
export interface Engine {
  /**
   * Starts a container of the image with a read-only file system.
   * @param config the text of the secret that compose.yaml mounts as the configuration file
   */
  start(command: readonly string[], config: string, env: NodeJS.ProcessEnv): Promise<PidOne>
  /** The command of the health check. */
  readonly health: readonly string[]
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(sql).finally(() => client.end())
}

/** Reads a response until it contains each of the texts. @returns what waits for the next text */
function readStream(response: Response): (text: string) => Promise<void> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let received = ''
  return async text => {
    while (!received.includes(text)) {
      const { value, done } = await reader.read()
      if (done) throw new Error(`the stream ended: ${received}`)
      received += value
    }
  }
}

/**
 * Does what `docker compose up` does with deploy/container/compose.yaml, on a Postgres of its own, and expects that the server is healthy,
 * shows the page, delivers a change of the example's table, writes no files and drains on SIGTERM.
 */
export async function runCompose({ start, health }: Engine): Promise<void> {
  const compose = parse(await read('compose.yaml')) as {
    services: Record<Name, Service>
    secrets: Record<string, { file: string }>
  }
  const { postgres, install, watch, listenql } = compose.services
  const database = await startPrivatePostgres()
  const containers: PidOne[] = []
  const startService = async ({ command, secrets }: Service, env: NodeJS.ProcessEnv = {}) => {
    const secret = await read(compose.secrets[secrets[0]?.source ?? '']?.file ?? '')
    expect(secret).toContain('@postgres/')
    const config = secret.replace('@postgres/', `@127.0.0.1:${database.port}/`)
    const container = await start(command, config, env)
    containers.push(container)
    return container
  }
  try {
    const { POSTGRES_USER: owner = '', POSTGRES_DB: name = '' } = postgres.environment
    const password = await read('secrets/owner-password')
    // The login of the embedded Postgres has the name that example.sql creates.
    await query(database.adminUrl, 'alter role listenql rename to embedded')
    await query(database.adminUrl, `create role ${owner} superuser login password '${password}'`)
    await query(database.adminUrl, `create database ${name} owner ${owner}`)
    const url = `postgres://${owner}:${password}@127.0.0.1:${database.port}/${name}`
    await query(url, await read('example.sql'))
    for (const service of [install, watch]) {
      const container = await startService(service)
      expect(await container.end, container.err()).toBe(0)
    }

    const [port, metricsPort] = [String(await freePort()), String(await freePort())]
    expect(listenql.command).toContain('9464')
    const command = listenql.command.map(word => (word === '9464' ? metricsPort : word))
    // The last of several flags counts: the test need not wait for a drain of 20 s.
    const server = await startService(
      { ...listenql, command: [...command, '--drain', '500ms'] },
      { LISTENQL_PORT: port },
    )
    await waitUntil(() => listeningUrl(server.err()), 'the server to listen', 60_000)
    expect(await server.exec(health)).toBe(0)
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toContain('<html')
    const metrics = await fetch(`http://127.0.0.1:${metricsPort}/metrics`)
    expect(await metrics.text()).toContain('listenql_connections')

    const received = readStream(
      await fetch(`http://127.0.0.1:${port}/graphql`, {
        method: 'POST',
        headers: { accept: 'text/event-stream', 'content-type': 'application/json' },
        body: JSON.stringify({ query: 'subscription { peopleChanged { operation row { name } } }' }),
      }),
    )
    await received('id:') // the position at which the subscription begins
    await query(url, `insert into people (name) values ('Ada')`)
    await received('"row":{"name":"Ada"}')

    for (const file of ['/file', '/tmp/file']) expect(await server.exec(['touch', file])).not.toBe(0)
    expect(server.states()).toHaveLength(1)
    const client = await overListen(`http://localhost:${port}`, 'news')
    process.kill(server.pid, 'SIGTERM')
    expect(await client.ended).toBe('1001')
    expect(await server.end).toBe(0)
    expect(server.err()).toContain('Stopped.')
  } finally {
    for (const { child } of containers) child.kill('SIGKILL')
    await database.close()
  }
}
