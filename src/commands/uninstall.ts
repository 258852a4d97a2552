import type pg from 'pg'
import { ListenqlError } from '../lib/errors.js'
import { countWords } from '../lib/words.js'
import { findSchema, uninstall } from '../log/install.js'
import { describeConnection } from '../postgres/conninfo.js'
import { ask } from '../postgres/lock-retry.js'
import type { Streams } from './shared/command.js'
import { confirm } from './shared/confirm.js'
import { type Database, withClient } from './shared/connect.js'
import { printBlockers } from './shared/each-table.js'

/**
 * Removes everything that listenql created in the database, after a confirmation.
 * @throws ListenqlError BAD_CONFIGURATION if stdin is no terminal to confirm it on; DATABASE_FAILED
 */
export async function uninstallCommand(
  { config }: Pick<Database, 'config'>,
  { yes, patience }: { readonly yes: boolean; readonly patience: number },
  io: Streams,
): Promise<number> {
  return withClient(config, 'uninstall', async client => {
    const tables = await installedTables(client)
    if (tables === undefined) {
      io.stdout.write('there is no schema listenql: nothing to remove\n')
      return 0
    }
    const what = `schema listenql with its event log, and the triggers of ${countWords(tables, 'table')}, from ${describeConnection(config)}`
    const question = {
      question: `Remove ${what}?`,
      withoutTerminal: 'this removes the event log',
      command: 'listenql uninstall --yes',
    }
    if (!yes && !(await confirm(question, io))) {
      io.stdout.write('nothing was removed\n')
      return 1
    }
    await uninstall(client, { patience, config, onWait: printBlockers('uninstall', io) })
    io.stdout.write(`removed ${what}\n`)
    return 0
  })
}

/**
 * The number of watched tables; undefined: there is no schema.
 * @throws ListenqlError DATABASE_FAILED if this login cannot remove everything: it must not remove only a part
 */
async function installedTables(client: pg.Client): Promise<number | undefined> {
  const schema = await findSchema(client)
  if (!schema) return undefined
  if (!schema.isOurs) {
    throw new ListenqlError(
      'DATABASE_FAILED',
      `login ${schema.login} may not remove schema listenql: it belongs to ${schema.owner}`,
      { hint: `run it as ${schema.owner} or as a superuser; nothing was removed` },
    )
  }
  const [row] = await ask<{ tables: string | null }>(
    client,
    `select to_regclass('listenql.watched')::text as tables`,
  )
  if (row?.tables == null) return 0
  const counted = await ask<{ n: number }>(client, 'select count(*)::int as n from listenql.watched')
  return counted[0]?.n ?? 0
}
