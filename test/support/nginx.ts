import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer as createNetServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe } from 'vitest'
import { makeCertificate } from './certificates.js'
import { canConnect, waitUntil } from './wait.js'

/** An nginx in the foreground, on a port that stays the same over restarts. */
export interface Nginx {
  readonly port: number
  /** Reloads its configuration: new workers take over, and the former workers end when their connections have ended. */
  reload(): Promise<void>
  /** Resolves once no former worker is left, which would still ask the former servers. */
  settled(): Promise<void>
  /** Does the same as `systemctl restart`: drops the connections and, while `away` runs, keeps the port closed. */
  restart(away?: () => Promise<void>): Promise<void>
  close(): Promise<void>
}

/** A `describe` of tests through nginx. If LISTENQL_NGINX names it, the tests fail instead of being skipped. */
export function describeWithNginx(name: string, body: () => void): void {
  const path = findNginx()
  if (path === undefined) console.warn(`Skipped: ${name}. There is no nginx here: apt-get install nginx.`)
  describe.skipIf(path === undefined)(name, body)
}

export function findNginx(): string | undefined {
  const configured = process.env.LISTENQL_NGINX
  if (configured === undefined) return ['/usr/sbin/nginx', '/usr/bin/nginx'].find(path => existsSync(path))
  if (!existsSync(configured)) throw new Error(`LISTENQL_NGINX names ${configured}, which does not exist`)
  return configured
}

/**
 * @param body returns the content of `http { … }`, for the port to listen on and a folder with `server.crt` and `server.key`
 * @param main the configuration before it
 */
export async function startNginx(body: (port: number, folder: string) => string, main = ''): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), 'listenql-nginx-'))
  const port = await freePort()
  await makeCertificate(folder, 'localhost')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  await writeFile(
    join(folder, 'nginx.conf'),
    `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log notice;
${main}
events {}
http {
  access_log off;
  ${temporary.map(name => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  ${body(port, folder)}
}
`,
  )
  const nginx = findNginx() as string
  const options = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')]
  await promisify(execFile)(nginx, ['-t', '-q', ...options])
  let child: ChildProcess
  async function start(): Promise<void> {
    child = spawn(nginx, options, { stdio: 'inherit' })
    await waitUntil(() => canConnect(port), 'nginx to listen')
  }
  async function end(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGTERM')
    await exit
  }
  await start()
  return {
    port,
    async reload() {
      const before = await countOf('start worker process ')
      child.kill('SIGHUP')
      await waitUntil(async () => (await countOf('start worker process ')) > before, 'a new worker')
    },
    async settled() {
      const isLeft = async () =>
        (await countOf(/ worker process \d+ exited /)) < (await countOf('start worker process ')) - 1
      await waitUntil(async () => !(await isLeft()), 'the former workers of nginx to end')
    },
    async restart(away) {
      await end()
      await away?.()
      await start()
    },
    async close() {
      await end()
      await rm(folder, { recursive: true, force: true })
    },
  }

  /** How often nginx has logged something. */
  async function countOf(words: string | RegExp): Promise<number> {
    const log = await readFile(join(folder, 'error.log'), 'utf8')
    return log.split(words).length - 1
  }
}

export function freePort(): Promise<number> {
  return new Promise(resolve => {
    const server = createNetServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
