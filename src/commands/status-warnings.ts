import { unindexedWords } from '../catalog/foreign-keys.js'
import type { Settings } from '../config/index.js'
import { countWords, sizeWords, timeWords } from '../lib/words.js'
import type { LogStatus } from '../log/log-status.js'

/** Present and expected problems with their remedies, a line each. */
export function statusWarnings(
  {
    version,
    tables,
    log,
    now,
    listening,
    reading,
    notificationQueue,
    longTransactions,
    silentLogins,
    troubles,
    unindexed,
  }: LogStatus,
  settings: Pick<Settings, 'retention' | 'maxLogSize'> & { readonly knows: number },
): string[] {
  const { retention, maxLogSize, knows } = settings
  const warnings: string[] = []
  const age = (then: Date) => now.getTime() - then.getTime()
  if (version < knows) {
    warnings.push(`Schema listenql has version ${version}, this program needs ${knows}: run listenql install`)
  } else if (version > knows) {
    warnings.push(`Schema listenql has version ${version}, this program knows ${knows}: update listenql`)
  }
  if (!log.position) {
    warnings.push(
      'The event log was restored from a dump without its rows, so nothing is logged: start a server, or run listenql install',
    )
  }
  for (const { name, lacking, partOf, unlogged, since, readable } of tables) {
    if (partOf.length > 0) {
      const roots = partOf.join(' and ')
      warnings.push(
        `${name} has no history: it is a part of ${roots}, and writes through that are not logged; run listenql unwatch ${name}, listenql watch ${partOf.join(' ')}`,
      )
    } else if (unlogged.length > 0) {
      warnings.push(
        `${name} has no history: ${unlogged.join(', ')} ${unlogged.length === 1 ? 'is' : 'are'} unlogged, so that a crash would empty it without an event; alter table ${unlogged[0]} set logged`,
      )
    } else if (lacking.length > 0) {
      warnings.push(
        `${name} has an incomplete history: triggers are missing or disabled on ${lacking.join(', ')}; enable those that are disabled (alter table … enable trigger user); listenql watch ${name} creates those that are missing`,
      )
    } else if (!since) {
      warnings.push(`The history of ${name} has not begun: start a server, or run listenql watch ${name}`)
    }
    if (!readable) {
      warnings.push(`Changes of ${name} are sent, but the server may not read it: grant select on ${name}`)
    }
  }
  if (maxLogSize !== undefined && log.bytes > maxLogSize * 0.8) {
    warnings.push(
      `The log has ${sizeWords(log.bytes)} of ${sizeWords(maxLogSize)} (--max-log-size): its oldest events are cleared before --retention is over`,
    )
  }
  // A partition is cleared when all of it is old enough, so the log reaches back for up to a third more.
  if (log.oldest && age(log.oldest) > retention * 1.5 + 10 * 60_000) {
    warnings.push(
      `The oldest event is ${timeWords(age(log.oldest))} old, though --retention is ${timeWords(retention)}: no server clears the log, or something holds it; try listenql rotate`,
    )
  }
  if (log.pending > 0 && log.pendingSince && age(log.pendingSince) > 10_000) {
    warnings.push(
      `${log.pending > 10_000 ? 'More than 10000 events' : countWords(log.pending, 'event')} wait to be read: no server follows the log`,
    )
  }
  if (reading.length > 0 && listening.length === 0) {
    warnings.push('No server listens, so notifications of plain channels and the doorbell are missed')
  }
  const silent = tables.filter(({ always }) => !always).map(({ name }) => name)
  if (silentLogins.length > 0 && silent.length > 0) {
    const logins = silentLogins.includes('all') ? 'all logins' : silentLogins.join(', ')
    warnings.push(
      `Writes of ${logins} are not logged: their sessions have session_replication_role = replica, so that triggers do not fire; listenql watch --always ${silent.join(' ')}`,
    )
  }
  for (const { subject, place, reason, stalled, at } of troubles) {
    if (stalled) {
      warnings.push(
        `A server cannot read the log beyond ${place}, so it delivers no later events; last tried ${timeWords(age(at))} ago: ${reason}`,
      )
    } else if (age(at) < retention) {
      warnings.push(
        `An event of ${subject} could not be read completely ${timeWords(age(at))} ago (${place}): ${reason}`,
      )
    }
  }
  for (const { words, since } of longTransactions) {
    warnings.push(
      `A transaction has been open for ${timeWords(age(since))}, and no younger event can be cleared from the log: ${words}`,
    )
  }
  for (const key of unindexed) {
    const words = unindexedWords(key)
    warnings.push(`${words.charAt(0).toUpperCase()}${words.slice(1)}`)
  }
  if (notificationQueue > 0.1) {
    warnings.push(
      `Postgres's queue of notifications is ${Math.round(notificationQueue * 100)} % full: some session that listens does not read, or is idle in a transaction`,
    )
  }
  return warnings
}
