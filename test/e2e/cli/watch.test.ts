import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { runCli } from '../../support/cli.js'
import { type PrivatePostgres, startPrivatePostgres } from '../../support/postgres.js'

let postgres: PrivatePostgres
beforeAll(async () => {
  postgres = await startPrivatePostgres()
})
afterAll(() => postgres.close())

const listenql = (...argv: string[]) => runCli([...argv, '--data-dir', postgres.directory])
/** Runs a query as the server's login. */
async function asServer(sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

it('watch covers a table that was created in the embedded Postgres, and lets the server read it', async () => {
  expect(
    await listenql('sql', 'create schema chat; create table chat.messages (id int primary key, body text)'),
  ).toMatchObject({ code: 0 })
  await expect(asServer('select * from chat.messages')).rejects.toThrow('permission denied')
  const { code, stdout, stderr } = await listenql('watch', 'chat.messages')
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout).toBe('chat.messages is watched: subscription chatMessagesChanged, query chatMessages\n')
  expect(await asServer('select * from chat.messages')).toEqual([])
  expect(
    await asServer('select table_name from listenql.watched where since is not null order by 1'),
  ).toEqual([{ table_name: 'messages' }, { table_name: 'people' }, { table_name: 'visits' }])
  const schema = await listenql('schema')
  expect([schema.code, schema.stderr]).toEqual([0, ''])
  expect(schema.stdout).toMatch(/^type ChatMessages \{$/m)
  expect(schema.stdout).toMatch(/^ {2}peopleChanged\(/m)
  expect(await listenql('unwatch', 'chat.messages')).toMatchObject({ code: 0 })
  expect((await listenql('schema')).stdout).not.toContain('ChatMessages')
})

it('watch installs the log again after an uninstall, with the privileges of the server', async () => {
  expect(await listenql('uninstall', '--yes')).toMatchObject({ code: 0, stderr: '' })
  expect(await asServer(`select to_regnamespace('listenql') as schema`)).toEqual([{ schema: null }])
  const { stdout, code } = await listenql('watch', 'people')
  expect(code).toBe(0)
  expect(stdout).toMatch(
    /^schema listenql is installed \(version \d+\)\npeople is watched: subscription peopleChanged, query people\n$/,
  )
  expect(await asServer('select watched from listenql.status()')).toEqual([{ watched: 1 }])
})

it('watch reports that there is no Postgres, or that it cannot be reached', async () => {
  const nowhere = await runCli(['watch', 'people', '--data-dir', `${postgres.directory}/nowhere`])
  expect(nowhere).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('no embedded Postgres is running here\nstart one with `npx listenql`'),
  })
  const refused = await runCli(['status'], { env: { DATABASE_URL: 'postgres://me:s3cret@127.0.0.1:1/x' } })
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("cannot connect as 'me' to 'x'") })
  expect(refused.stderr).not.toContain('s3cret')
})
