import { ListenqlError } from '../lib/errors.js'
import { notesOnDumps } from '../log/dump-grants.js'
import { findSchema, printInstallSql } from '../log/install.js'
import { readMigrations } from '../log/migration-files.js'
import type { Streams } from './shared/command.js'
import { type Database, refuseStandby, withClient } from './shared/connect.js'
import { grantDump, grantToServer, isKeptByOthers, provideLog } from './shared/provide-log.js'

/** Prints the SQL of the installation; needs no database. @throws ListenqlError BAD_CONFIGURATION */
export function printInstallCommand(
  {
    grantTo,
    grantDumpTo,
    from,
  }: {
    readonly grantTo: string | undefined
    readonly grantDumpTo?: string | undefined
    readonly from: string | undefined
  },
  { stdout }: Pick<Streams, 'stdout'>,
): number {
  if (from !== undefined && !/^\d{1,4}$/.test(from)) {
    throw new ListenqlError(
      'BAD_CONFIGURATION',
      `--from is '${from}' but must be a version, such as ${readMigrations().length}`,
      {
        hint: 'listenql status shows the version that a database has',
      },
    )
  }
  stdout.write(
    printInstallSql({
      ...(grantTo !== undefined && { grantTo }),
      ...(grantDumpTo !== undefined && { grantDumpTo }),
      ...(from !== undefined && { from: Number(from) }),
    }),
  )
  return 0
}

/** Creates schema `listenql`, or updates it, and grants the rights that a server's login needs. */
export async function installCommand(
  { config, serverLogin }: Pick<Database, 'config' | 'serverLogin'>,
  {
    grantTo,
    grantDumpTo,
  }: { readonly grantTo: string | undefined; readonly grantDumpTo?: string | undefined },
  { stdout, stderr }: Pick<Streams, 'stdout' | 'stderr'>,
): Promise<number> {
  return withClient(config, 'install', async client => {
    await refuseStandby(client)
    const schema = await findSchema(client)
    if (schema && (await isKeptByOthers(client))) {
      throw new ListenqlError(
        'DATABASE_FAILED',
        `schema listenql exists and belongs to ${schema.owner}: login ${schema.login} may not even see its version`,
        { hint: `run it as ${schema.owner} or as a superuser` },
      )
    }
    const done = await provideLog(client)
    stdout.write(`${done ?? 'schema listenql is up to date'}\n`)
    if (serverLogin !== undefined) await grantToServer(client, serverLogin)
    if (grantTo !== undefined) {
      await grantToServer(client, grantTo)
      stdout.write(
        `${grantTo} now has the rights on schema listenql that a server needs; for SELECT on tables: listenql watch --grant-to ${grantTo} TABLE\n`,
      )
    }
    if (grantDumpTo !== undefined) await grantDump(client, grantDumpTo)
    for (const note of await notesOnDumps(client)) stderr.write(`-- ${note}\n`)
    stdout.write('Next: listenql watch TABLE\n')
    return 0
  })
}
