import type { ClientBase } from 'pg'
import { packEverything } from '../../support/packed.js'
import { createRandom } from '../random.js'
import { createGenerator } from './generate.js'
import { createReplica } from './replica.js'
import { WORLDS } from './world.js'

export interface CommandRun {
  readonly world: string
  readonly seed: number
  readonly transactions: number
  /** Connects as the owner of schema listenql and of the tables; each run has its own database. */
  readonly client: ClientBase
  /** Whether the changes of each statement are packed, as those of large statements are. Default: false */
  readonly packed?: boolean
}

export interface CommandOutcome {
  readonly statements: number
  /** Statements that Postgres refused. */
  readonly refused: number
  readonly events: number
  /** Commands after which events and tables differed, with the difference. */
  readonly problems: readonly string[]
}

const MAX_PROBLEMS = 5

/** Runs random commands in random transactions; after each statement, the events so far must give the contents of the tables. */
export async function runCommands({
  world: name,
  seed,
  transactions,
  client,
  packed = false,
}: CommandRun): Promise<CommandOutcome> {
  const random = createRandom(seed, name)
  const world = (WORLDS[name] as (typeof WORLDS)[string])(random)
  const { rows } = await client.query<{ server_version_num: string }>('show server_version_num')
  const generator = createGenerator(world, random, Number(rows[0]?.server_version_num))
  await client.query(world.setup)
  for (const table of Object.keys(world.tables))
    await client.query('select listenql.watch($1::regclass)', [table])
  await client.query('select listenql.refresh()')
  if (packed) await packEverything(client)
  const replica = await createReplica(client, world)
  let statements = 0
  let refused = 0
  let events = 0
  const problems: string[] = []
  await replica.reload()

  for (let number = 0; number < transactions && problems.length < MAX_PROBLEMS; number++) {
    const done: string[] = []
    let problem: string | undefined
    await client.query(random.chance(0.2) ? 'begin isolation level repeatable read' : 'begin')
    // The transaction gets its xid at the start, or with the first write.
    if (random.chance(0.3)) await client.query('select pg_current_xact_id()')
    for (let left = random.int(1, 4); left > 0 && problem === undefined; left--) {
      const sql = generator.statement()
      await client.query('savepoint one')
      statements++
      try {
        await client.query(sql)
        done.push(sql)
      } catch (error) {
        refused++
        await client.query('rollback to savepoint one')
        if (!isExpected(error)) problem = `${sql}\n  failed: ${String(error)}`
      }
      if (problem === undefined && random.chance(0.1)) {
        await client.query('rollback to savepoint one')
        done.push('rollback to savepoint')
      }
      problem ??= await replica.check()
    }
    if (problem !== undefined)
      problems.push(
        [
          `seed ${seed}, world ${name}${packed ? ', packed' : ''}:`,
          ...done.map(sql => `  ${sql};`),
          `  ${problem}`,
          ...(await replica.events().catch(() => [])).map(line => `    ${line}`),
        ].join('\n'),
      )
    events += (await replica.events().catch(() => [])).length
    const commits = problem === undefined && random.chance(0.8)
    const ended = await client
      .query(commits ? 'commit' : 'rollback')
      .then(({ command }) => command === 'COMMIT')
      .catch(() => false) // a deferred constraint failed
    replica.ended(ended)
    if (problem !== undefined) await replica.reload()
  }
  return { statements, refused, events, problems }
}

/** Whether the error is expected from random commands; a fault in the triggers of listenql shows as another error. */
function isExpected(error: unknown): boolean {
  const { code, message } = error as { code?: string; message: string }
  if (code === undefined || /listenql/.test(`${message}`)) return false
  // Integrity (23), a row written twice by one command (21, 27), read-only columns of cascades, missing partitions (23514), recursion (54001)
  return /^(23|21000|27000|54001|40001|428C9|0A000|55000|55006)/.test(code)
}
