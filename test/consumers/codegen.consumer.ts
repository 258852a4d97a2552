import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Consumer, createConsumer } from '../support/consumer.js'
import { createLog, type TestLog } from '../support/log.js'
import { createCommands } from '../support/running.js'
import { waitUntil } from '../support/wait.js'

let log: TestLog
beforeAll(async () => {
  log = await createLog()
  await log.query('create table people (pk int primary key, name text, age int)')
  await log.watch('people')
})
afterAll(() => log.close())

const APP = `import { type DocumentType, graphql } from './gql'
const PEOPLE = graphql(\`query People { people { rows { pk age } } peopleAggregate { count } }\`)
type Row = DocumentType<typeof PEOPLE>['people']['rows'][number]
export const age = (row: Row): number | null | undefined => row.age
export const count = (data: DocumentType<typeof PEOPLE>): string => data.peopleAggregate.count
// @ts-expect-error: a typo
export const typo = (row: Row) => row.agee
`

const CONFIG = `import type { CodegenConfig } from '@graphql-codegen/cli'
import { codegenConfig } from 'listenql/codegen'
const config: CodegenConfig = codegenConfig({ schema: 'src/gql/schema.graphql', out: 'other/' })
export default config
`

// The oldest and the newest that are supported.
describe.each(['5', '7'])('@graphql-codegen/cli %s, beside the packed package', version => {
  let consumer: Consumer
  const commands = createCommands()
  beforeAll(async () => {
    consumer = await createConsumer({
      packages: [`@graphql-codegen/cli@${version}`, '@parcel/watcher@2', 'typescript@5.9'],
    })
    await consumer.write('src/app.ts', APP)
    await consumer.write('codegen.ts', CONFIG)
    const compilerOptions = {
      module: 'esnext',
      moduleResolution: 'bundler',
      target: 'es2022',
      strict: true,
      noEmit: true,
      skipLibCheck: true,
    }
    await consumer.write('tsconfig.json', JSON.stringify({ compilerOptions, include: ['src', 'codegen.ts'] }))
  })
  afterAll(async () => {
    await commands.endAll()
    await consumer.close()
  }) // biome-ignore format: the options of a compiler

  const bin = () => join(consumer.folder, 'node_modules/listenql/dist/src/cli.js')
  const types = () => readFile(join(consumer.folder, 'src/gql/schema.graphql'), 'utf8').catch(() => '')

  it('types an app, and its own command does so with the configuration of listenql/codegen', async () => {
    const run = await consumer.run(process.execPath, [bin(), 'codegen', '--schema', log.database.url])
    expect(run).toMatchObject({ code: 0, stderr: '' })
    expect(await consumer.run('npx', ['tsc'])).toMatchObject({ code: 0, stdout: '' })
    const own = await consumer.run('npx', ['graphql-codegen'])
    expect([own.code, own.stderr]).toEqual([0, expect.anything()])
    const [ours, others] = await Promise.all(
      ['src/gql', 'other'].map(folder => readFile(join(consumer.folder, folder, 'graphql.ts'), 'utf8')),
    )
    expect(others).toBe(ours)
  })

  it('a syntax error in one of several files is an error', async () => {
    await consumer.write('wrong/right.ts', APP)
    await consumer.write('wrong/wrong.ts', 'export const WRONG = graphql(`query Wrong { people {`)')
    const argv = [bin(), 'codegen', '--schema', log.database.url, '--out', 'wrong/gql', 'wrong/**/*.ts']
    const { code, stderr } = await consumer.run(process.execPath, argv)
    expect(code).toBe(1)
    expect(stderr).toContain('Syntax Error')
  })

  it('--watch follows the tables and the operations, and Ctrl-C ends it', async () => {
    const argv = [bin(), 'codegen', '--watch', '--schema', log.database.url]
    const watching = commands.spawn(process.execPath, argv, { cwd: consumer.folder })
    const isReady = () => /Watching for changes/.test(watching.out() + watching.err())
    await waitUntil(isReady, `it to watch: ${watching.err()}`, 30_000)
    const column = `mail${version}`
    await log.query(`alter table people add ${column} text`)
    await waitUntil(async () => (await types()).includes(column), 'the new column', 30_000)
    await consumer.write(
      'src/mail.ts',
      `import { graphql } from './gql'\nexport const MAIL = graphql(\`query Mail { people { rows { ${column} } } }\`)\n`,
    )
    const generated = () => readFile(join(consumer.folder, 'src/gql/graphql.ts'), 'utf8')
    await waitUntil(async () => (await generated()).includes('MailQuery'), 'the new operation', 30_000)
    watching.child.kill('SIGINT')
    // The listr2 of version 5 ends the process itself.
    expect(await watching.end).toBe(version === '5' ? 127 : 'SIGINT')
  })
})
