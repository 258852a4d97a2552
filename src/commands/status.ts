import type { ClientBase } from 'pg'
import type { Settings } from '../config/index.js'
import { formatTable } from '../lib/table.js'
import { countWords, sizeWords, timeWords } from '../lib/words.js'
import { createCursors } from '../log/cursors.js'
import { cursorKey } from '../log/log-queries.js'
import { type Connection, type LogStatus, readLogStatus } from '../log/log-status.js'
import { readMigrations } from '../log/migration-files.js'
import { endOfBatch } from '../log/position.js'
import { describeConnection } from '../postgres/conninfo.js'
import { ask } from '../postgres/lock-retry.js'
import { findUnfollowedPolicies } from '../rls/reads/unfollowed-policies.js'
import { ignoredComments } from './ignored-comments.js'
import type { Streams } from './shared/command.js'
import { type Database, withClient } from './shared/connect.js'
import { statusWarnings } from './status-warnings.js'

/** Prints the state of the event log, as text or as JSON. */
export async function statusCommand(
  { config, serverLogin }: Pick<Database, 'config' | 'serverLogin'>,
  settings: Pick<Settings, 'retention' | 'maxLogSize'>,
  { json }: { readonly json: boolean },
  { stdout }: Pick<Streams, 'stdout'>,
): Promise<number> {
  const { status, cursor, others } = await withClient(config, 'status', async client => {
    const status = await readLogStatus(client, serverLogin)
    const cursor = status ? await cursorOf(client, status) : null
    const others = status ? [...(await unfollowedPolicies(client)), ...(await ignoredComments(client))] : []
    return { status, cursor, others }
  })
  const knows = readMigrations().length
  const warnings = status ? [...statusWarnings(status, { ...settings, knows }), ...others] : []
  if (json) {
    const document = status
      ? { installed: true, cursor, ...status, warnings }
      : { installed: false, warnings }
    stdout.write(`${JSON.stringify(document, undefined, 2)}\n`)
  } else if (status) {
    stdout.write(describe(status, cursor, describeConnection(config), warnings))
  } else {
    stdout.write(
      `Database  ${describeConnection(config)}\n\nNothing is watched: there is no schema listenql. To begin: listenql watch TABLE\n`,
    )
  }
  return 0
}

/** Why live queries of viewers would be refused, a line each. */
async function unfollowedPolicies(client: ClientBase): Promise<string[]> {
  const errors = await findUnfollowedPolicies((text, values) => ask(client, text, values))
  return errors.map(({ message, hint }) => `${message.charAt(0).toUpperCase()}${message.slice(1)}; ${hint}`)
}

/** @throws ListenqlError DATABASE_FAILED if this login may not create cursors */
async function cursorOf(client: ClientBase, { log: { position } }: LogStatus): Promise<string | null> {
  if (!position) return null
  const cursors = createCursors({ tried: async () => undefined, load: () => cursorKey(client) })
  await cursors.ready()
  return cursors.encode(endOfBatch(position))
}

function describe(
  status: LogStatus,
  cursor: string | null,
  connection: string,
  warnings: readonly string[],
): string {
  const { log, now, tables } = status
  const ago = (then: Date) => `${timeWords(now.getTime() - then.getTime())} ago`
  const facts: readonly (readonly [string, string])[] = [
    ['Database', `${connection}, PostgreSQL ${status.postgres}`],
    ['Schema', `listenql, version ${status.version}`],
    ['Servers', servers(status)],
    [
      'Log',
      log.oldest
        ? `${sizeWords(log.bytes)}, oldest event ${moment(log.oldest)} (${ago(log.oldest)})`
        : `${sizeWords(log.bytes)}, no events`,
    ],
    [
      'Position',
      log.position
        ? `${cursor} (batch ${log.position.n}, ${ago(log.position.at)})`
        : 'none: the log was restored without its rows',
    ],
    ['Lag', lag(status)],
    ['Doorbell', doorbell(status)],
  ]
  const width = Math.max(...facts.map(([name]) => name.length)) + 2
  const lines = facts.map(([name, value]) => `${name.padEnd(width)}${value}\n`)
  const parts = [
    lines.join(''),
    tables.length > 0 ? tableOf(status) : 'No table is watched: listenql watch TABLE\n',
  ]
  if (warnings.length > 0) parts.push(warnings.map(warning => `! ${warning}\n`).join(''))
  return parts.join('\n')
}

function servers({ listening, reading }: LogStatus): string {
  const place = ({ pid, address }: Connection) => `pid ${pid}${address === null ? '' : ` from ${address}`}`
  const readers = reading.map(reader => (reader.leads ? `${place(reader)} (leads)` : place(reader)))
  if (listening.length + reading.length === 0) return 'none is connected'
  return [
    listening.length > 0 ? `LISTEN connection: ${listening.map(place).join(', ')}` : 'no LISTEN connection',
    reading.length > 0 ? `log connection: ${readers.join(', ')}` : 'no log connection',
  ].join('; ')
}

function lag({ log: { position, pending, pendingSince }, now }: LogStatus): string {
  if (!position) return 'unknown: there is no history'
  if (pending === 0 || !pendingSince) return 'none: every event has its position'
  const many = pending > 10_000 ? 'more than 10000 events' : countWords(pending, 'event')
  const verb = pending === 1 ? 'waits' : 'wait'
  return `${many} ${verb} to be read by a server, for ${timeWords(now.getTime() - pendingSince.getTime())}`
}

function doorbell({ bellArmed, reading }: LogStatus): string {
  if (bellArmed) return 'armed: servers are idle, the next commit wakes them'
  return reading.length > 0 ? 'not armed: a server is awake, or polls' : 'not armed: no server is connected'
}

function tableOf({ tables }: LogStatus): string {
  const columns = ['table', 'history since', 'generation', 'key', 'triggers', 'snapshots']
  return formatTable(
    columns.map(name => ({ name, align: name === 'generation' ? 'right' : 'left' })),
    tables.map(({ name, since, generation, key, lacking, partOf, unlogged, always, readable }) => [
      name,
      since ? moment(since) : 'none',
      String(generation),
      key.join(', ') || 'none',
      partOf.length > 0
        ? `part of ${partOf.join(', ')}`
        : unlogged.length > 0
          ? 'unlogged'
          : lacking.length > 0
            ? `lacking on ${lacking.join(', ')}`
            : always
              ? 'always'
              : 'ok',
      readable ? 'yes' : 'no SELECT',
    ]),
  )
}

/** To the second, in UTC: `2026-11-23 03:10:05Z`. */
function moment(time: Date): string {
  return time
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z')
}
