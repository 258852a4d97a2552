import { Readable, Writable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type SqlArguments, sqlCommand } from '../../src/commands/sql.js'
import { createTestDatabase, startPrivatePostgres, type TestDatabase } from '../support/postgres.js'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
  await database.query('create table thing (id int primary key, name text, n numeric)')
})
afterAll(() => database.close())

async function run(argv: SqlArguments, input: string | Buffer = '') {
  const texts = { out: '', err: '' }
  const collect = (key: 'out' | 'err') =>
    new Writable({
      write(chunk, _encoding, done) {
        texts[key] += String(chunk)
        done()
      },
    })
  const io = { stdout: collect('out'), stderr: collect('err'), stdin: Readable.from([input]) }
  const code = await sqlCommand(argv, io)
  return { code, ...texts }
}

const sql = (statement: string) => run({ statement, databaseUrl: database.adminUrl })
const lines = (...parts: string[]) => `${parts.join('\n')}\n`

describe('the output of `listenql sql`', () => {
  it('shows rows as a table, with NULL, unicode and exact numbers', async () => {
    const statement = `select * from (values (1, 'Paul', 1.50), (20, '日本', null), (300, e'a\\nb', 9007199254740993)) t(id, name, n)`
    expect(await sql(statement)).toEqual({
      code: 0,
      err: '',
      out: lines(
        ' id  | name |        n',
        '-----+------+------------------',
        '   1 | Paul |             1.50',
        '  20 | 日本 |             NULL',
        ' 300 | a\\nb | 9007199254740993',
        '(3 rows)',
      ),
    })
  })
  it('shows values as Postgres writes them', async () => {
    const { out } = await sql(
      `set timezone = 'UTC'; select timestamptz '2026-01-02 03:04:05Z' as t, true as b, '{"a": 1.0}'::json as j, array[1, null] as a, '\\x00ff'::bytea as y`,
    )
    expect(out).toContain(String.raw` 2026-01-02 03:04:05+00 | t | {"a": 1.0} | {1,NULL} | \x00ff`)
  })
  it('shows one row, no rows, and columns of the same name', async () => {
    expect((await sql('select 1 as a, 2 as a')).out).toBe(lines(' a | a', '---+---', ' 1 | 2', '(1 row)'))
    expect((await sql('select 1 as a where false')).out).toBe(lines(' a', '---', '(0 rows)'))
  })
  it('shows whole command tags, statement by statement', async () => {
    const statement = `create temp table t (id int); insert into t values (1), (2); update t set id = id + 1; select count(*) from t; delete from t returning id`
    expect(await sql(statement)).toEqual({
      code: 0,
      err: '',
      out: lines(
        'CREATE TABLE',
        'INSERT 0 2',
        'UPDATE 2',
        ' count',
        '-------',
        '     2',
        '(1 row)',
        ' id',
        '----',
        '  2',
        '  3',
        '(2 rows)',
        'DELETE 2',
      ),
    })
  })
  it('is empty for an empty statement', async () => {
    expect(await sql(' ; ')).toEqual({ code: 0, err: '', out: '' })
  })
  it('sends notices to stderr', async () => {
    expect(await sql(`do $$ begin raise notice 'look' using hint = 'here'; end $$`)).toEqual({
      code: 0,
      err: 'NOTICE:  look\nHINT:  here\n',
      out: 'DO\n',
    })
  })
  it('contains the data of COPY TO STDOUT; COPY FROM STDIN is refused', async () => {
    expect((await sql(`copy (select 1, 'a') to stdout`)).out).toBe('1\ta\nCOPY 1\n')
    const refused = await sql('copy thing from stdin')
    expect(refused).toMatchObject({ code: 1, out: '' })
    expect(refused.err).toContain('listenql sql sends no data')
  })
})

describe('the SQL', () => {
  it.each([undefined, '-'])('is read from stdin if the statement is %s', async statement => {
    const argv = { databaseUrl: database.url, ...(statement !== undefined && { statement }) }
    expect((await run(argv, Buffer.from("select 'ü' as v"))).out).toBe(lines(' v', '---', ' ü', '(1 row)'))
  })
})

describe('an error message', () => {
  it('points at the position of the error, after the results of earlier statements', async () => {
    expect(await sql("select 1 as one;\nselect 'ü', xyzzy from thing")).toEqual({
      code: 1,
      out: lines(' one', '-----', '   1', '(1 row)'),
      err: lines(
        'ERROR:  42703: column "xyzzy" does not exist',
        "LINE 2: select 'ü', xyzzy from thing",
        '                    ^',
      ),
    })
  })
  it('points at the right position after wide and astral characters and tabs', async () => {
    const { err } = await sql("select '日本😀',\tnope")
    const [, line = '', caret = ''] = err.split('\n')
    expect(line).toBe("LINE 1: select '日本😀', nope")
    expect(caret).toBe(`${' '.repeat(8 + "select '".length + 6 + "', ".length)}^`)
  })
  it('cuts long lines around the position', async () => {
    const { err } = await sql(`select ${'1, '.repeat(100)}nope${', 1'.repeat(100)}`)
    const [, line = '', caret = ''] = err.split('\n')
    expect(line.length).toBeLessThan(80)
    expect(line.slice(caret.length - 1, caret.length + 3)).toBe('nope')
    expect(line).toMatch(/^LINE 1: \.\.\..*\.\.\.$/)
  })
  it('contains the detail and the SQLSTATE', async () => {
    expect((await sql("insert into thing values (1, 'a'); insert into thing values (1, 'b')")).err).toBe(
      lines(
        'ERROR:  23505: duplicate key value violates unique constraint "thing_pkey"',
        'DETAIL:  Key (id)=(1) already exists.',
      ),
    )
    expect(await database.query('select * from thing')).toEqual([])
  })
  it('contains the hint, the query and the context', async () => {
    const { err, code } = await sql(`do $$ begin execute 'select lenght(''a'')'; end $$`)
    expect(code).toBe(1)
    expect(err).toContain("LINE 1: select lenght('a')\n               ^\nHINT:  No function matches")
    expect(err).toMatch(/\nQUERY: {2}select lenght\('a'\)\nCONTEXT: {2}PL\/pgSQL function inline_code_block/)
  })
  it('reports a lost connection', async () => {
    const { code, err } = await sql('select pg_terminate_backend(pg_backend_pid())')
    expect(code).toBe(1)
    expect(err).toContain('57P01: terminating connection')
  })
  it('reports a failed connection without password or stack', async () => {
    const { code, err } = await run({
      statement: 'select 1',
      databaseUrl: 'postgres://me:s3cret@127.0.0.1:1/x',
    })
    expect(code).toBe(1)
    expect(err).toContain(
      "cannot connect as 'me' to 'x' @ '127.0.0.1:1': nothing listens on 127.0.0.1:1 (ECONNREFUSED)",
    )
    expect(err).not.toMatch(/s3cret|\n {4}at /)
  })
  it('comes with exit code 2 for an invalid connection string', async () => {
    const { code, err } = await run({ statement: 'select 1', databaseUrl: 'mysql://x' })
    expect(code).toBe(2)
    expect(err).toContain('connection string cannot be read')
  })
})

describe('the embedded Postgres', () => {
  it('is used, as superuser, if no database is given', async () => {
    const postgres = await startPrivatePostgres()
    try {
      const insert = "INSERT INTO people (name, age, height) VALUES ('Paul', 51, 1.9) returning name, height"
      expect(await run({ statement: insert, dataDirectory: postgres.directory })).toEqual({
        code: 0,
        err: '',
        out: lines(' name | height', '------+--------', ' Paul |    1.9', '(1 row)', 'INSERT 0 1'),
      })
      const shown = await run({
        statement: 'select current_user::text as u',
        dataDirectory: postgres.directory,
      })
      expect(shown.out).toContain(' postgres\n')
      await postgres.stop('fast')
      const { code, err } = await run({ statement: 'select 1', dataDirectory: postgres.directory })
      expect(code).toBe(1)
      expect(err).toContain('no embedded Postgres is running here\nstart one with `npx listenql`')
    } finally {
      await postgres.close()
    }
  })
})
