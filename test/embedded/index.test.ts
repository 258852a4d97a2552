import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  inject,
  it,
  onTestFinished,
} from 'vitest'
import { findBinaries, locatePackage } from '../../src/embedded/binaries.js'
import { findLayout } from '../../src/embedded/directory.js'
import {
  type EmbeddedPostgres,
  findEmbeddedPostgres,
  type StartEmbeddedPostgresOptions,
  startEmbeddedPostgres,
} from '../../src/embedded/index.js'
import { identifyProcess, isAlive } from '../../src/embedded/process-identity.js'
import { chooseRunAs } from '../../src/embedded/run-as.js'
import { ListenqlError } from '../../src/lib/errors.js'
import { readMigrations } from '../../src/log/migration-files.js'
import { migrate } from '../../src/log/migrations.js'
import { compileEmbeddedProcesses, type EmbeddedProcesses } from '../support/embedded-process.js'
import { installFormer } from '../support/former-log.js'
import { QUICK_SETTINGS } from '../support/global-setup.js'
import { postmasterPid, startPrivatePostgres } from '../support/postgres.js'
import { waitUntil } from '../support/wait.js'

const isRoot = process.getuid?.() === 0
let processes: EmbeddedProcesses
let directory: string
let open: EmbeddedPostgres[]

beforeAll(async () => {
  processes = await compileEmbeddedProcesses()
})
afterAll(() => processes.close())
beforeEach(async () => {
  directory = join(await mkdtemp(join(inject('postgresRoot'), 'embedded-')), 'pg')
  await chmod(join(directory, '..'), 0o755)
  open = []
})
afterEach(async () => {
  for (const postgres of open) await postgres.close()
})

async function start(options: StartEmbeddedPostgresOptions = {}): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres({ directory, settings: QUICK_SETTINGS, ...options })
  open.push(postgres)
  return postgres
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

const WATCHED = 'select table_name, since is not null as whole from listenql.watched order by 1'

/** What an earlier version made: the table of the article alone, under a comment of that version. */
async function makeFormerDemo(adminUrl: string, comment: string): Promise<void> {
  await query(
    adminUrl,
    `drop schema listenql cascade; drop table visits; comment on database listenql is '${comment}'`,
  )
}

const pidOf = () => postmasterPid(join(directory, 'data'))

async function failure(promise: Promise<unknown>): Promise<ListenqlError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof ListenqlError) return error
  throw new Error('expected a ListenqlError', { cause: error })
}

describe('the first start', () => {
  it('creates a database with the demo, which the login of the server may use', async () => {
    const said: string[] = []
    const postgres = await start({ onProgress: message => said.push(message) })
    expect(said).toEqual([`creating a Postgres in ${directory}`])
    expect(postgres).toMatchObject({ takenOver: false, dataDirectory: join(directory, 'data') })

    const listener = new pg.Client(postgres.serverUrl)
    await listener.connect()
    const notification = once(listener, 'notification')
    await listener.query('listen people')
    const sql = "INSERT INTO people (name, age, height) VALUES ('Paul', 51, 1.9) returning pk"
    expect(await query(postgres.serverUrl, sql)).toEqual([{ pk: 1 }])
    const [{ channel, payload }] = (await notification) as [pg.Notification]
    await listener.end()
    expect(channel).toBe('people')
    expect(JSON.parse(payload ?? '')).toMatchObject({
      name: 'Paul',
      dml_action: 'INSERT',
      dml_table: 'people',
    })

    await query(postgres.serverUrl, `insert into visits (person_id, place) values (1, 'Library')`)
    await query(postgres.serverUrl, 'delete from people')
    expect(await query(postgres.serverUrl, 'select * from visits')).toEqual([])
  })

  it('watches the demo, and lets the login of the server read the event log', async () => {
    const { serverUrl, adminUrl } = await start()
    expect(await query(serverUrl, WATCHED)).toEqual([
      { table_name: 'people', whole: true },
      { table_name: 'visits', whole: true },
    ])
    const [begin] = await query(serverUrl, 'select n, token from listenql.newest()')
    await query(serverUrl, "insert into people (name) values ('Paul')")
    const pull = `select operation, new::json ->> 'name' as name from listenql.pull(${begin?.n}, ${begin?.token}, 2147483647, 0, 0, 10)`
    expect(await query(serverUrl, pull)).toEqual([{ operation: 'I', name: 'Paul' }])
    // As /healthz?deep does.
    await query(serverUrl, `select listenql.publish('listenql_health_1', 'alive')`)
    expect(await query(adminUrl, 'select count(*)::int as n from listenql.migration')).toEqual([
      { n: readMigrations().length },
    ])
  })

  it('gives the server a login without any other privilege', async () => {
    const { serverUrl, adminUrl } = await start()
    const rights = 'select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls from pg_roles'
    const none = {
      rolsuper: false,
      rolcreaterole: false,
      rolcreatedb: false,
      rolreplication: false,
      rolbypassrls: false,
    }
    expect(await query(serverUrl, `${rights} where rolname = current_user`)).toEqual([none])
    await expect(query(serverUrl, 'create table mine ()')).rejects.toThrow('permission denied')
    await expect(query(serverUrl, 'drop table people')).rejects.toThrow('must be owner')
    expect(await query(adminUrl, 'select current_user::text as u')).toEqual([{ u: 'postgres' }])
  })

  it('listens on loopback only, requires the password, and uses UTF8', async () => {
    const { adminUrl, serverUrl, port } = await start({ settings: {} })
    const setting = async (name: string) => (await query(adminUrl, `show ${name}`))[0]?.[name]
    expect(await setting('listen_addresses')).toBe('127.0.0.1')
    expect(await setting('unix_socket_directories')).toBe('')
    expect(await setting('password_encryption')).toBe('scram-sha-256')
    expect(await setting('server_encoding')).toBe('UTF8')
    expect(await setting('lc_collate').catch(() => 'C')).toBe('C')
    expect(await setting('fsync')).toBe('on')
    expect(
      new Set(
        (await query(adminUrl, 'select auth_method from pg_hba_file_rules')).map(row => row.auth_method),
      ),
    ).toEqual(new Set(['scram-sha-256']))
    for (const user of ['postgres', 'listenql']) {
      const guess = `postgres://${user}:guess@127.0.0.1:${port}/listenql`
      await expect(query(guess, 'select 1')).rejects.toThrow('password authentication failed')
    }
    expect(serverUrl).toContain('postgres://listenql:')
  })

  it('makes passwords, data and log accessible only to the owner, and keeps all of it out of git', async () => {
    await start()
    const mode = async (name: string) => (await stat(join(directory, name))).mode & 0o777
    expect(await mode('credentials.json')).toBe(0o600)
    expect(await mode('data')).toBe(0o700)
    expect(await mode('postgres.log')).toBe(0o600)
    expect(await readFile(join(directory, '.gitignore'), 'utf8')).toBe('*\n')
    expect((await readdir(directory)).filter(name => name.includes('partial'))).toEqual([])
  })

  it('initialises the folder once if several processes start at the same moment', async () => {
    const other = processes.start(directory)
    const [one, two, three] = await Promise.all([start(), start(), other.started()])
    expect(two.serverUrl).toBe(one.serverUrl)
    expect(three.port).toBe(one.port)
    expect(await query(one.serverUrl, 'select count(*)::int as n from people')).toEqual([{ n: 0 }])
    await other.close()
  })

  it('succeeds after a kill -9 during the creation of the data directory', async () => {
    const victim = processes.start(directory)
    expect(await victim.next()).toMatchObject({ kind: 'progress' })
    await waitUntil(async () => (await readdir(directory)).some(name => name.startsWith('data.partial-')))
    await victim.kill()
    const postgres = await start()
    expect(postgres.takenOver).toBe(false)
    expect(await query(postgres.serverUrl, 'select * from people')).toEqual([])
  })

  it('succeeds after a kill -9 before the creation of the demo', async () => {
    const first = await start()
    await query(first.adminUrl.replace(/listenql$/, 'postgres'), 'drop database listenql with (force)')
    await first.close()
    const second = await start()
    expect(await query(second.serverUrl, 'select * from people')).toEqual([])
  })

  it('can be aborted, leaves nothing running, and succeeds the next time', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const starting = start({ signal: controller.signal, onProgress: () => controller.abort(reason) })
    await expect(starting).rejects.toBe(reason)
    expect(await pidOf()).toBeUndefined()
    expect(await query((await start()).serverUrl, 'select * from people')).toEqual([])
  })
})

describe('a later start', () => {
  it('finds data, passwords and port again, and creates no second demo', async () => {
    const first = await start()
    await query(first.serverUrl, "insert into people (name) values ('Colin')")
    await query(first.adminUrl, 'drop trigger data_change_trigger on people')
    await first.close()
    expect(await pidOf()).toBeUndefined()

    const second = await start()
    expect(second).toMatchObject({ serverUrl: first.serverUrl, adminUrl: first.adminUrl, takenOver: false })
    expect(await query(second.serverUrl, 'select name from people')).toEqual([{ name: 'Colin' }])
    const triggers = `select tgname from pg_trigger where tgrelid = 'people'::regclass and not tgisinternal and tgname not like '%listenql%'`
    expect(await query(second.adminUrl, triggers)).toEqual([])
    await query(second.adminUrl, 'drop table people, visits')
    await second.close()

    const third = await start()
    expect(
      await query(third.adminUrl, "select to_regclass('people') as people, to_regclass('visits') as visits"),
    ).toEqual([{ people: null, visits: null }])
  })

  it('watches the demo of a folder that was created before demos were watched', async () => {
    const first = await start()
    await makeFormerDemo(first.adminUrl, 'Made by listenql, with its demo (table people).')
    await query(first.adminUrl, 'create table visits (id int)')
    await first.close()
    const second = await start()
    expect(await query(second.serverUrl, WATCHED)).toEqual([{ table_name: 'people', whole: true }])
  })

  it('leaves the demo of an earlier version as it is', async () => {
    const first = await start()
    await makeFormerDemo(first.adminUrl, 'Made by listenql, with its demo (table people, watched).')
    await first.close()
    const second = await start()
    expect(
      await query(
        second.adminUrl,
        "select to_regclass('visits') as visits, to_regnamespace('listenql') as log",
      ),
    ).toEqual([{ visits: null, log: null }])
  })

  it('leaves the demo to the next start if it is in use', async () => {
    const first = await start()
    await query(
      first.adminUrl,
      `drop schema listenql cascade; comment on database listenql is 'Made by listenql, with its demo (tables people and visits).'`,
    )
    const busy = new pg.Client({ connectionString: first.adminUrl })
    await busy.connect()
    await busy.query('begin; lock table people in row exclusive mode')
    const second = await start()
    expect(await query(second.serverUrl, WATCHED)).toEqual([])
    await busy.query('commit')
    await busy.end()
    const third = await start()
    expect(await query(third.serverUrl, WATCHED)).toEqual([
      { table_name: 'people', whole: true },
      { table_name: 'visits', whole: true },
    ])
  })

  it('does not watch the demo again if it was unwatched or the log was uninstalled', async () => {
    const first = await start()
    await query(first.adminUrl, `select listenql.unwatch('people')`)
    await first.close()
    const second = await start()
    expect(await query(second.serverUrl, WATCHED)).toEqual([{ table_name: 'visits', whole: true }])
    await query(second.adminUrl, 'drop schema listenql cascade')
    await second.close()
    const third = await start()
    expect(await query(third.adminUrl, `select to_regnamespace('listenql') as log`)).toEqual([{ log: null }])
  })

  it('upgrades the log with the privileges that a server needs, and leaves a newer log alone', async () => {
    const first = await start()
    await query(first.adminUrl, 'drop schema listenql cascade')
    const client = new pg.Client({ connectionString: first.adminUrl })
    await client.connect()
    await migrate(client, { migrations: readMigrations().slice(0, 3) })
    await client.end()
    await first.close()
    const second = await start()
    const version = 'select max(version) as version from listenql.migration'
    expect(await query(second.adminUrl, version)).toEqual([{ version: readMigrations().length }])
    expect(await query(second.serverUrl, 'select watched from listenql.status()')).toEqual([{ watched: 0 }])
    await query(second.serverUrl, `select listenql.publish('listenql_health_1', 'alive')`)
    await query(second.adminUrl, `insert into listenql.migration (version, name) values (999, 'future')`)
    await second.close()
    const third = await start()
    expect(await query(third.adminUrl, version)).toEqual([{ version: 999 }])
  })

  it('upgrades the log of version 8 without ending a history', async () => {
    const first = await start()
    const admin = new pg.Client({ connectionString: first.adminUrl })
    await admin.connect()
    await admin.query('drop schema listenql cascade')
    await installFormer((sql, params = []) => admin.query(sql, [...params]), 8)
    await admin.query(`create table notes (id int primary key, text varchar(20)); grant select, insert, update on notes to listenql;
      grant usage on schema listenql to listenql; grant select on listenql.watched to listenql;
      grant execute on function listenql.newest() to listenql;
      select listenql.watch('people'); select listenql.watch('notes')`)
    await admin.query('select listenql.refresh()')
    const write = async (url: string, id: number) => {
      await query(url, `insert into notes values (${id}, 'a'); update notes set text = 'b' where id = ${id}`)
      await query(url, `insert into people (name) values ('${id}')`)
    }
    const histories =
      'select table_name, generation, whole_from, since_n, since_token from listenql.watched order by 1'
    const [cursor] = await query(first.serverUrl, 'select n, token from listenql.newest()')
    await write(first.serverUrl, 1)
    const before = await query(first.serverUrl, histories)
    expect(before.map(row => [row.table_name, row.since_n !== null])).toEqual([
      ['notes', true],
      ['people', true],
    ])
    await admin.end()
    await first.close()

    const second = await start()
    expect(await query(second.adminUrl, 'select max(version) as version from listenql.migration')).toEqual([
      { version: readMigrations().length },
    ])
    // As a server does at its start, with its own login.
    expect(await query(second.serverUrl, 'select * from listenql.refresh()')).toEqual([])
    expect(await query(second.serverUrl, histories)).toEqual(before)
    await write(second.serverUrl, 2)
    const events = await query(
      second.serverUrl,
      `select operation, coalesce(new::json ->> 'name', concat_ws(' ', new::json ->> 'id', new::json ->> 'text')) as row, generation
       from listenql.pull(${cursor?.n}, ${cursor?.token}, 2147483647, 0, 0, 100)`,
    )
    expect(events).toEqual(
      ['I 1 a', 'U 1 b', 'I 1', 'I 2 a', 'U 2 b', 'I 2'].map(event => ({
        operation: event.slice(0, 1),
        row: event.slice(2),
        generation: 1,
      })),
    )
    expect(await query(second.serverUrl, 'select * from listenql.refresh()')).toEqual([])
    expect(await query(second.serverUrl, histories)).toEqual(before)
  })

  it('takes another port if the previous one is in use', async () => {
    const first = await start()
    await first.close()
    const squatter = createServer().listen(first.port, '127.0.0.1')
    onTestFinished(() => void squatter.close())
    await once(squatter, 'listening')
    const second = await start()
    expect(second.port).not.toBe(first.port)
    expect(await query(second.serverUrl, 'select * from people')).toEqual([])
  })

  it('can be closed several times, and closes once', async () => {
    const postgres = await start()
    await Promise.all([postgres.close(), postgres.close()])
    await postgres.close()
    expect(await findEmbeddedPostgres({ directory })).toBeNull()
  })

  it('can be stopped after the folder was deleted', async () => {
    const postgres = await start()
    const identity = await identifyProcess((await pidOf()) ?? 0)
    if (!identity) throw new Error('Postgres does not run')
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
    await postgres.close()
    expect(await isAlive(identity)).toBe(false)
  })
})

describe('a start after a crash', () => {
  it('takes over the Postgres of a server that was killed with -9, and stops it in the end', async () => {
    const victim = processes.start(directory)
    const { port } = await victim.started()
    const pid = await pidOf()
    await victim.kill()

    const found = await findEmbeddedPostgres({ directory })
    expect(found?.serverUrl).toContain(`:${port}/listenql`)
    const postgres = await start()
    expect(postgres).toMatchObject({ takenOver: true, port })
    expect(await pidOf()).toBe(pid)
    expect(await query(postgres.serverUrl, 'select * from people')).toEqual([])
    await postgres.close()
    expect(await identifyProcess(pid ?? 0)).toBeUndefined()
  })

  it('starts Postgres again after a kill -9 of it, on the same port, with the committed data', async () => {
    const postgres = await startPrivatePostgres()
    onTestFinished(() => postgres.close())
    for (const name of ['a', 'b', 'c']) {
      await query(postgres.url, `insert into people (name) values ('${name}')`)
      await postgres.kill()
      await postgres.start()
    }
    expect(await query(postgres.url, 'select name from people order by pk')).toEqual(
      ['a', 'b', 'c'].map(name => ({ name })),
    )
  })

  it('ignores a postmaster.pid of a dead process', async () => {
    const first = await start()
    const left = await readFile(join(directory, 'data', 'postmaster.pid'), 'utf8')
    await first.close()
    await leavePidFile(left.replace(/^\d+/, '4194303'))
    expect((await start()).takenOver).toBe(false)
  })

  it('ignores a postmaster.pid whose pid now belongs to another process', async () => {
    const first = await start()
    const left = await readFile(join(directory, 'data', 'postmaster.pid'), 'utf8')
    await first.close()
    // A process of the user that Postgres runs as: Postgres itself refuses to start then.
    const runAs = await chooseRunAs(join(directory, 'data'))
    const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], {
      stdio: 'ignore',
      ...runAs,
    })
    onTestFinished(() => void stranger.kill())
    await once(stranger, 'spawn')
    await leavePidFile(left.replace(/^\d+/, String(stranger.pid)))

    expect(await findEmbeddedPostgres({ directory })).toBeNull()
    const postgres = await start()
    expect(postgres.takenOver).toBe(false)
    await postgres.close()
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull()
  })

  it('breaks the lock of a dead process', async () => {
    await mkdir(directory)
    await writeFile(join(directory, 'lock'), JSON.stringify({ pid: 4_194_303, started: 'long ago' }))
    await start()
    // The same pid, but another process.
    await writeFile(join(directory, 'lock'), JSON.stringify({ pid: process.pid, started: 'long ago' }))
    await start()
    expect(await readdir(directory)).not.toContain('lock')
  })

  async function leavePidFile(text: string): Promise<void> {
    const path = join(directory, 'data', 'postmaster.pid')
    await writeFile(path, text, { mode: 0o600 })
    const owner = await stat(join(directory, 'data'))
    await chown(path, owner.uid, owner.gid)
  }
})

describe('a Postgres shared by two processes', () => {
  it('runs until the last process closes', async () => {
    const other = processes.start(directory)
    const { port } = await other.started()
    const postgres = await start()
    expect(postgres).toMatchObject({ port, takenOver: false })
    await postgres.close()
    expect((await findEmbeddedPostgres({ directory }))?.serverUrl).toContain(`:${port}/`)
    await other.close()
    expect(await findEmbeddedPostgres({ directory })).toBeNull()
    expect(await pidOf()).toBeUndefined()
  })

  it('does not wait for a process that was killed', async () => {
    const postgres = await start()
    const other = processes.start(directory)
    await other.started()
    await other.kill()
    await postgres.close()
    expect(await pidOf()).toBeUndefined()
  })
})

describe('a failed start', () => {
  it('reports the reason from the log of Postgres, and the path of that log', async () => {
    await (await start()).close()
    const error = await failure(start({ settings: { shared_buffers: 'lots' } }))
    expect(error.code).toBe('EMBEDDED_POSTGRES_FAILED')
    expect(error.message).toContain('invalid value for parameter "shared_buffers": "lots"')
    expect(error.message).not.toContain('\n')
    expect(error.hint).toContain(join(directory, 'postgres.log'))
  })

  it('reports that the passwords are lost', async () => {
    await (await start()).close()
    await rm(join(directory, 'credentials.json'))
    const error = await failure(start())
    expect(error.message).toContain('credentials.json is missing')
    await writeFile(join(directory, 'credentials.json'), '{')
    expect((await failure(start())).message).toContain('no longer contains the passwords')
  })

  it('reports that the passwords are wrong, and leaves nothing running', async () => {
    await (await start()).close()
    await writeFile(join(directory, 'credentials.json'), '{"superuser": "x", "login": "y"}')
    const error = await failure(start())
    expect(error.message).toContain('password authentication failed for user "postgres"')
    expect(await pidOf()).toBeUndefined()
  })

  it('asks for DATABASE_URL if there is no package for the platform', () => {
    const { arch } = process
    onTestFinished(() => void Object.defineProperty(process, 'arch', { value: arch }))
    Object.defineProperty(process, 'arch', { value: 'pdp11' })
    let error: unknown
    try {
      locatePackage()
    } catch (thrown) {
      error = thrown
    }
    expect(error).toMatchObject({
      code: 'EMBEDDED_POSTGRES_FAILED',
      hint: expect.stringContaining('DATABASE_URL'),
    })
  })
})

describe('the package of Postgres', () => {
  let copy: string
  beforeEach(async () => {
    await mkdir(directory)
    copy = join(directory, '..', 'package')
    await cp(locatePackage(), copy, { recursive: true, verbatimSymlinks: true })
    await Promise.all((await symlinks(copy)).map(link => rm(link, { force: true })))
  })
  const symlinks = async (folder: string) =>
    (
      JSON.parse(await readFile(join(folder, 'native', 'pg-symlinks.json'), 'utf8')) as { target: string }[]
    ).map(({ target }) => join(folder, target))
  const version = async (program: string) => (await promisify(execFile)(program, ['--version'])).stdout

  it('gets the symbolic links that npm ci --ignore-scripts leaves out', async () => {
    const links = await symlinks(copy)
    expect(links.length).toBeGreaterThan(0)
    const binaries = await findBinaries(directory, undefined, copy)
    for (const link of links) expect((await lstat(link)).isSymbolicLink()).toBe(true)
    for (const link of links) await stat(link)
    expect(await version(binaries.initdb)).toContain('18.')
    expect(await readdir(directory)).toEqual([])
  })

  it.runIf(isRoot)("is copied to where Postgres' user can read it (as root)", async () => {
    await chmod(copy, 0o700)
    const runAs = await chooseRunAs(undefined)
    const binaries = await findBinaries(directory, runAs, copy)
    expect(binaries.postgres.startsWith(directory)).toBe(true)
    expect(await version(binaries.initdb)).toContain('18.')
    expect(await findBinaries(directory, runAs, copy)).toEqual(binaries)
    expect(await readdir(directory)).toHaveLength(1)
  })
})

describe('Postgres as root', () => {
  it.runIf(isRoot)('lives under /var/lib/listenql if its user cannot enter the folder', async () => {
    const closed = join(directory, '..', 'closed')
    await mkdir(closed, { mode: 0o700 })
    const wanted = join(closed, 'project', '.listenql')
    const layout = await findLayout(wanted)
    onTestFinished(() => rm(layout.directory, { recursive: true, force: true }))
    expect(layout.directory).toMatch(/^\/var\/lib\/listenql\/project-[0-9a-f]{10}$/)
    const postgres = await start({ directory: wanted })
    expect(postgres.dataDirectory).toBe(join(layout.directory, 'data'))
    expect((await findEmbeddedPostgres({ directory: wanted }))?.serverUrl).toBe(postgres.serverUrl)
    await postgres.close()
  })

  it.runIf(isRoot)('runs as another user', async () => {
    await start()
    const status = await readFile(`/proc/${await pidOf()}/status`, 'utf8')
    expect(status).toMatch(/^Uid:\s+[1-9]/m)
  })
})
