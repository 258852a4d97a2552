import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { runCli } from '../../support/cli.js'
import { type PrivatePostgres, startPrivatePostgres } from '../../support/postgres.js'
import { createCommands } from '../../support/running.js'
import { waitUntil } from '../../support/wait.js'

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

it('watch and unwatch take patterns, schemas and flags', async () => {
  await listenql('sql', 'create schema crm; create table crm.leads (id int); create table crm.draft (id int)')
  expect(await listenql('watch', '--schema', 'crm', '!crm.draft', '--dry-run')).toEqual({
    code: 0,
    stdout:
      'crm.leads would be watched\n1 table would be watched, watched already: 0, skipped: 0; nothing was changed\n',
    stderr: '',
  })
  expect(await listenql('watch', 'crm.l*')).toMatchObject({
    code: 0,
    stdout: 'crm.leads is watched: subscription crmLeadsChanged, query crmLeads\n',
  })
  expect(await listenql('unwatch', '--all', '!p*')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(`if that is what you want: listenql unwatch --yes --all '!p*'\n`),
  })
  expect(await listenql('unwatch', '--schema', 'crm', '--yes')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('crm.leads is no longer watched\n'),
  })
})

it('serve watches the tables that its configuration file declares, and logs which', async () => {
  await listenql('sql', 'create table declared (id int primary key); create view seen as select 1')
  const cwd = await mkdtemp(join(tmpdir(), 'listenql-declared-'))
  await writeFile(join(cwd, 'listenql.toml'), 'Tables = ["de*", "seen"]\n')
  const commands = createCommands({ cwd })
  try {
    const server = await commands.serve('--data-dir', postgres.directory)
    await waitUntil(() => server.err().includes('Watched now, as --tables says: declared.'), 'the table')
    expect(server.err()).toContain('Watched, though --tables does not name them: people')
    expect(server.err()).toContain('--tables cannot be followed completely: seen: it is a view.')
    expect(await asServer('select * from declared')).toEqual([])
  } finally {
    await commands.endAll()
    await rm(cwd, { recursive: true, force: true })
  }
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
