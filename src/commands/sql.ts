import type { Readable, Writable } from 'node:stream'
import type pg from 'pg'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { formatTable } from '../lib/table.js'
import { hideSecrets } from '../postgres/conninfo.js'
import { findDatabase, withClient } from './shared/connect.js'
import type { DatabaseArguments } from './shared/database-arguments.js'
import { formatDatabaseError } from './shared/sql-error.js'
import { createSimpleQuery, type SqlResult } from './sql-query.js'

export interface SqlArguments extends DatabaseArguments {
  /** One or more statements, separated by semicolons. Missing or `-`: read from stdin. */
  readonly statement?: string
}

export interface SqlStreams {
  readonly stdout: Writable
  readonly stderr: Writable
  readonly stdin: Readable & { readonly isTTY?: boolean }
}

/**
 * Connects to Postgres directly, runs SQL and prints the results: rows as a table, else the command tag; notices and errors
 * on stderr, in psql's format. Statements given together run in one transaction, as with `psql -c`.
 * @returns the exit code: 0, or 1 if anything failed (2: an invalid connection string). Never rejects.
 */
export async function sqlCommand(argv: SqlArguments, io: SqlStreams): Promise<number> {
  try {
    const { config } = await findDatabase(argv)
    const sql = await readStatement(argv, io)
    return await run(config, sql, io)
  } catch (error) {
    io.stderr.write(`listenql: ${hideSecrets(messageOf(error))}\n`)
    if (error instanceof ListenqlError && error.hint) io.stderr.write(`${error.hint}\n`)
    return error instanceof ListenqlError && error.code === 'BAD_CONFIGURATION' ? 2 : 1
  }
}

async function readStatement(argv: SqlArguments, io: SqlStreams): Promise<string> {
  if (argv.statement !== undefined && argv.statement !== '-') return argv.statement
  if (io.stdin.isTTY) io.stderr.write('Type SQL, then Ctrl-D.\n')
  const chunks: Buffer[] = []
  for await (const chunk of io.stdin) chunks.push(Buffer.from(chunk as string | Uint8Array))
  return Buffer.concat(chunks).toString('utf8')
}

function run(config: pg.ClientConfig, sql: string, io: SqlStreams): Promise<number> {
  return withClient(config, 'sql', async client => {
    client.on('notice', notice => io.stderr.write(formatDatabaseError(notice, sql)))
    client.on('notification', ({ channel, payload, processId }) => {
      const words = payload ? ` with payload "${payload}"` : ''
      io.stdout.write(`Asynchronous notification "${channel}"${words} received from process ${processId}.\n`)
    })
    try {
      const query = createSimpleQuery(sql, {
        onResult: result => io.stdout.write(formatResult(result)),
        onCopyData: chunk => io.stdout.write(chunk),
      })
      client.query(query)
      await query.done
      return 0
    } catch (error) {
      io.stderr.write(formatDatabaseError(error, sql))
      return 1
    }
  })
}

/** int8 int2 int4 oid xid cid float4 float8 money numeric xid8: the types that psql aligns to the right. */
const NUMBERS = new Set([20, 21, 23, 26, 28, 29, 700, 701, 790, 1700, 5069])

function formatResult({ tag, fields, rows }: SqlResult): string {
  if (!fields) return `${tag}\n`
  const columns = fields.map(({ name, dataTypeID }) => ({
    name,
    align: NUMBERS.has(dataTypeID) ? ('right' as const) : ('left' as const),
  }))
  const count = rows.length === 1 ? '(1 row)' : `(${rows.length} rows)`
  // INSERT … RETURNING and similar statements have rows and a tag.
  const after = /^(INSERT|UPDATE|DELETE|MERGE)/.test(tag) ? `${tag}\n` : ''
  return `${formatTable(columns, rows)}${count}\n${after}`
}
