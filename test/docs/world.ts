import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import pg from 'pg'
import { inject } from 'vitest'
import { findEmbeddedPostgres } from '../../src/embedded/index.js'
import { CLI, cleanEnvironment, createCommands, type Running } from '../support/running.js'

/** The environment of a reader of the docs: the running demo, and a database of the reader's own. */
export interface World {
  /** The folder where `npm start` ran: it contains `.listenql`, and all packages, for `import`. */
  readonly folder: string
  /** The server of the demo. */
  readonly url: string
  /** Superuser, database `mydb`: tables `people` and `chat.messages`, a role `live`. `renewOwn` creates it again. */
  readonly ownUrl: string
  renewOwn(): Promise<void>
  /** Runs SQL as the superuser, in the demo or in `mydb`. */
  sql(text: string, database?: 'demo' | 'own'): Promise<Record<string, unknown>[]>
  /** The text with the placeholder addresses replaced by those of this world. */
  here(text: string): string
  /** The variables of a reader's shell: `npx listenql` and, for psql, the PG* variables of the reader's database. */
  env(more?: NodeJS.ProcessEnv): NodeJS.ProcessEnv
  spawn(program: string, args: readonly string[], env?: NodeJS.ProcessEnv): Running
  /** Inserts people, one after the other, until the check holds. */
  makeEvents(check: () => boolean, database?: 'demo' | 'own'): Promise<void>
  /** Ends the processes that a test has started. */
  endAll(): Promise<void>
  close(): Promise<void>
}

const OWN = `
  create table people (pk serial primary key, name text, age int, height real);
  create schema chat; create table chat.messages (id serial primary key, body text);`

export async function createWorld(): Promise<World> {
  const folder = await mkdtemp(join(inject('postgresRoot'), 'docs-'))
  await chmod(folder, 0o755) // as root, Postgres runs as another user, which needs access
  await linkPackages(folder)
  const bin = join(folder, 'bin')
  await mkdir(bin)
  await writeFile(
    join(bin, 'npx'),
    `#!/bin/sh\n[ "$1" = listenql ] || { echo "npx $1 is not known to this test" >&2; exit 1; }\nshift\nexec ${process.execPath} ${CLI} "$@"\n`,
    { mode: 0o755 },
  )

  const server = createCommands({ cwd: folder })
  const commands = createCommands({ cwd: folder })
  const { url } = await server.serve()
  const found = await findEmbeddedPostgres({ directory: join(folder, '.listenql') })
  if (!found) throw new Error('the demo has no Postgres')
  const withParts = (parts: Partial<URL>) => Object.assign(new URL(found.adminUrl), parts).href
  const ownUrl = withParts({ pathname: '/mydb' })

  async function sql(text: string, database: 'demo' | 'own' = 'demo') {
    const client = new pg.Client({ connectionString: database === 'own' ? ownUrl : found?.adminUrl })
    await client.connect()
    try {
      const result = await client.query<Record<string, unknown>>(text)
      return [result].flat().at(-1)?.rows ?? []
    } finally {
      await client.end()
    }
  }
  await sql(`create role live login password 'secret'`)

  return {
    folder,
    url,
    ownUrl,
    async renewOwn() {
      await sql('drop database if exists mydb with (force)')
      await sql('create database mydb')
      await sql(OWN, 'own')
    },
    sql,
    here: text =>
      text
        .replaceAll('localhost:7700', new URL(url).host)
        .replace(/postgres:\/\/(\w+):[^@\s]*@[\w.]+\/\w+/g, (_, user) =>
          user === 'live' ? withParts({ pathname: '/mydb', username: 'live', password: 'secret' }) : ownUrl,
        ),
    env: (more = {}) => ({
      ...cleanEnvironment(),
      PATH: `${bin}:${process.env.PATH}`,
      HOME: folder,
      PORT: '0', // any port works for a server that a snippet starts
      LISTENQL_HTTPS_PORT: '0',
      ...more,
    }),
    spawn: (program, args, env) =>
      commands.spawn(program, args, { env: env ?? process.env, detached: true, cwd: folder }),
    async makeEvents(check, database = 'demo') {
      for (const deadline = Date.now() + 20_000; !check(); ) {
        if (Date.now() > deadline) throw new Error('20 s of events, and none was seen')
        await sql(`insert into people (name, age, height) values ('Event', 20, 1.9)`, database)
        await new Promise(done => setTimeout(done, 50))
      }
    },
    endAll: () => commands.endAll(),
    async close() {
      await commands.endAll()
      await server.endAll()
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** Links every package of this checkout, and this one under its own name. */
async function linkPackages(folder: string): Promise<void> {
  const target = join(folder, 'node_modules')
  await mkdir(target)
  for (const name of await readdir('node_modules')) {
    if (!name.startsWith('.')) await symlink(resolve('node_modules', name), join(target, name))
  }
  await symlink(resolve('.'), join(target, 'listenql'))
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'reader', type: 'module' }))
}
