import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readMigrations } from '../../../src/log/migration-files.js'

const NAMES =
  'serve watch unwatch status schema install uninstall rotate kick sql tail top codegen config help'.split(
    ' ',
  )
const COMMANDS = `commands: ${NAMES.join(', ')}`
const CLI = join(import.meta.dirname, '../../../dist/src/cli.js')

let cwd: string
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'listenql-cli-'))
})
afterAll(() => rm(cwd, { recursive: true }))

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the built command in an empty folder, with no environment variables but the given ones. */
function listenql(
  argv: readonly string[],
  { env = {}, unread = false }: { env?: Record<string, string>; unread?: boolean } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CLI, ...argv], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    if (unread) child.stdout.destroy()
    else child.stdout.setEncoding('utf8').on('data', chunk => (stdout += chunk))
    child.stderr.setEncoding('utf8').on('data', chunk => (stderr += chunk))
    child.once('error', reject)
    child.once('close', code => resolve({ code, stdout, stderr }))
  })
}

describe('help and version', () => {
  it('names all commands', async () => {
    for (const argv of [['--help'], ['-h'], ['help']]) {
      const { code, stdout, stderr } = await listenql(argv)
      expect([code, stderr]).toEqual([0, ''])
      for (const name of NAMES) {
        expect(stdout).toMatch(new RegExp(`^  ${name} +\\w`, 'm'))
      }
    }
  })

  it('explains a command, with options under all their names, and examples', async () => {
    const { code, stdout } = await listenql(['serve', '--help'])
    expect(code).toBe(0)
    expect(stdout).toContain('Usage: listenql [serve] [flags]')
    expect(stdout).toContain('DATABASE_URL=postgres://me:secret@localhost/mydb npx listenql\n')
    expect(stdout).toMatch(
      /--port PORT\n.+\n +Default: 7700\. Environment: LISTENQL_PORT, PORT, ES_HTTPPORT\. File: HttpPort\./,
    )
    expect(await listenql(['help', 'serve'])).toEqual({ code: 0, stdout, stderr: '' })
    expect(Math.max(...stdout.split('\n').map(line => line.length))).toBeLessThanOrEqual(100)
  })

  it.each(NAMES.slice(1))('explains %s', async name => {
    const { code, stdout } = await listenql([name, '-h'])
    expect(code).toBe(0)
    expect(stdout).toMatch(new RegExp(`^Usage: listenql ${name}\\b`))
    expect(stdout).toContain('npx listenql')
  })

  it('prints its version', async () => {
    const { version } = JSON.parse(await readFile(join(CLI, '../../../package.json'), 'utf8')) as {
      version: string
    }
    for (const flag of ['--version', '-v']) {
      expect(await listenql([flag])).toEqual({ code: 0, stdout: `listenql ${version}\n`, stderr: '' })
    }
  })
})

describe('a wrong command line', () => {
  it.each<[string[], string]>([
    [['--prot', '1'], 'listenql: there is no flag --prot; did you mean --port?\n'],
    [['srve'], `listenql: there is no command 'srve'; did you mean serve?\n${COMMANDS}\n`],
    [
      ['postgres://me:hunter2@localhost/db'],
      "listenql: there is no command 'postgres://me:***@localhost/db'\nto serve that database: listenql --database-url URL\n",
    ],
    [['help', 'tial'], `listenql: there is no command 'tial'; did you mean tail?\n${COMMANDS}\n`],
    [
      ['watch'],
      'listenql: listenql watch needs the name of a table, a pattern, --schema or --all\nsee listenql watch --help\n',
    ],
    [
      ['watch', '--wait', 'soon', 't'],
      "listenql: --wait is 'soon' but must be a duration from 0s to 24h, such as 500ms, 10s, 2m or 1h\n",
    ],
    [['install', '--from', '3'], 'listenql: --from needs --print\n'],
    [
      ['install', '--print', '--from', 'x'],
      `listenql: --from is 'x' but must be a version, such as ${readMigrations().length}\nlistenql status shows the version that a database has\n`,
    ],
    [
      ['rotate', '--max-log-size', '100'],
      "listenql: --max-log-size is '100' but must be a number of bytes from 1MiB on, such as 1048576, 16MiB or 8MB\n",
    ],
    [
      ['rotate', '--retention', '500ms'],
      "listenql: --retention is '500ms' but must be a duration from 1s to 10 years (87600h), such as 10s, 2m or 1h\n",
    ],
    [['uninstall', '--wait', '3'], "listenql: --wait is '3' but must have a unit: 3ms, 3s, 3m or 3h\n"],
    [['rotate', '--retention', '1'], "listenql: --retention is '1' but must have a unit: 1s, 1m or 1h\n"],
    [['tail'], 'listenql: listenql tail needs the name of a channel\nsee listenql tail --help\n'],
    [
      ['tail', '--url', 'localhost:7700', 'a'],
      'listenql: --url must be a URL such as http://localhost:7700\n',
    ],
    [['-d', 'sql'], 'listenql: the command comes first: listenql sql [flags]\nsee listenql serve --help\n'],
    [
      ['sql', 'select', '1'],
      'listenql: listenql sql takes only the statement, in quotes: there is one argument too many\nsee listenql sql --help\n',
    ],
    [
      ['serve', '--port', 'abc'],
      "listenql: --port is 'abc' but must be a port, a whole number from 0 to 65535\n",
    ],
    [['config', '-c', 'no.toml'], 'listenql: the configuration file no.toml does not exist\n'],
  ])('%j ends with code 2', async (argv, stderr) => {
    expect(await listenql(argv)).toEqual({ code: 2, stdout: '', stderr })
  })

  it('is reported before the server starts', async () => {
    expect(await listenql([], { env: { LISTENQL_MAX_EVENT: 'big' } })).toEqual({
      code: 2,
      stdout: '',
      stderr:
        "listenql: environment variable LISTENQL_MAX_EVENT is 'big' but must be a number of bytes from 1 on, such as 1048576, 512KiB, 16MiB or 8MB\n",
    })
  })
})

describe('listenql config', () => {
  it('prints the settings in force and hides the password', async () => {
    const env = { DATABASE_URL: 'postgres://me:hunter2@localhost/db', PORT: '8000', LISTENQL_MAXBUFFER: '1' }
    const { code, stdout, stderr } = await listenql(['config', '--no-graphiql'], { env })
    expect(code).toBe(0)
    expect(stdout).toContain('# Database: postgres://me:***@localhost/db\n')
    expect(stdout).toContain(
      'DbConnection = "postgres://me:***@localhost/db"  # environment variable DATABASE_URL',
    )
    expect(stdout).toContain('HttpPort = 8000  # environment variable PORT\n')
    expect(stdout).toContain('Graphiql = false  # --no-graphiql\n')
    expect(stdout + stderr).not.toContain('hunter2')
    expect(stderr).toBe(
      'listenql: environment variable LISTENQL_MAXBUFFER is not known and has no effect; did you mean LISTENQL_MAX_BUFFER?\n',
    )
  })

  it('prints which database the server would use', async () => {
    const own = await listenql(['config'])
    expect(own.stdout).toContain('# Database: the embedded Postgres in .listenql\n')
    const named = await listenql(['config'], { env: { PGHOST: 'db', PGUSER: 'me', PGPASSWORD: 'hunter2' } })
    expect(named.stdout).toContain('# Database: given by PGHOST, PGUSER\n')
  })

  it('prints an example file', async () => {
    const { code, stdout } = await listenql(['config', '--example'])
    expect(code).toBe(0)
    expect(stdout).toContain('# HttpPort = 7700\n')
  })

  it('prints the documentation exactly as in docs/', async () => {
    const page = await readFile(join(CLI, '../../../docs/configuration.md'), 'utf8')
    expect(await listenql(['config', '--markdown'])).toEqual({ code: 0, stdout: page, stderr: '' })
  })

  it('ends quietly when the reader of its output is gone', async () => {
    expect(await listenql(['config', '--example'], { unread: true })).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    })
  })
})
