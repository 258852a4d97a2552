import { ListenqlError } from '../lib/errors.js'
import { inTransaction } from '../postgres/lock-retry.js'
import { hasSqlState, isFunctionMissing, SQL_STATE } from '../postgres/sql-state.js'
import type { Streams } from './shared/command.js'
import { type Database, refuseStandby, withClient } from './shared/connect.js'

/** The viewers that a kick ends. */
export interface KickArguments {
  readonly claim: string
  readonly value: string
}

/** @param text `sub=42` @throws ListenqlError BAD_CONFIGURATION */
export function readClaim(text: string | undefined): KickArguments {
  const at = text?.indexOf('=') ?? -1
  if (text !== undefined && at > 0 && at < text.length - 1) {
    return { claim: text.slice(0, at), value: text.slice(at + 1) }
  }
  throw new ListenqlError('BAD_CONFIGURATION', '--claim must be a claim and its value', {
    hint: 'such as: listenql kick --claim sub=42',
  })
}

/** Ends the streams of viewers with this claim, on all servers. @throws ListenqlError DATABASE_FAILED */
export async function kickCommand(
  { config }: Pick<Database, 'config'>,
  { claim, value }: KickArguments,
  { stdout }: Pick<Streams, 'stdout'>,
): Promise<number> {
  return withClient(config, 'kick', async client => {
    await refuseStandby(client)
    try {
      await inTransaction(client, () => client.query('select listenql.kick($1, $2)', [claim, value]))
    } catch (error) {
      throw explain(error)
    }
    stdout.write(
      `kicked: streams of viewers with ${claim} = ${value} end on all servers, and tokens issued before now are refused\n`,
    )
    return 0
  })
}

function explain(error: unknown): unknown {
  if (isFunctionMissing(error)) {
    return new ListenqlError('DATABASE_FAILED', 'schema listenql of this database cannot kick viewers yet', {
      hint: 'listenql install creates or updates schema listenql',
      cause: error,
    })
  }
  if (hasSqlState(error, SQL_STATE.insufficientPrivilege)) {
    return new ListenqlError('DATABASE_FAILED', 'this login may not kick', {
      hint: 'as the owner of schema listenql: grant usage on schema listenql to LOGIN; grant execute on function listenql.kick(text, text) to LOGIN;',
      cause: error,
    })
  }
  return error
}
