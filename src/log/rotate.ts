import type { ClientBase } from 'pg'
import { ask, inTransaction } from '../postgres/lock-retry.js'

export interface RotateOptions {
  /** Age in ms up to which events are kept. */
  readonly retention: number
  /** Size of the log in bytes above which the oldest events are cleared, whatever their age. Undefined: no limit. */
  readonly maxLogSize: number | undefined
}

/** What `listenql.rotate` did. Sizes in bytes. */
export interface Rotation {
  /** Partitions that were cleared. */
  readonly dropped: number
  /** How many of them were cleared only because of `maxLogSize`. */
  readonly early: number
  readonly droppedBytes: number
  /** Size of the log afterwards. */
  readonly bytes: number
  /** Why a partition that is due was not cleared; a later rotation clears it. Undefined: all were. */
  readonly busy: string | undefined
}

interface Row {
  readonly dropped: number
  readonly early: number
  readonly dropped_bytes: string
  readonly bytes: string
  readonly busy: string | null
}

/** Whether the database has a log that the login may rotate. False on a standby. */
export async function canRotate(client: ClientBase): Promise<boolean> {
  const rows = await ask<{ able: boolean }>(
    client,
    `select not pg_is_in_recovery() and exists (
       select from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where n.nspname = 'listenql' and p.proname = 'rotate' and has_schema_privilege(n.oid, 'usage')
         and has_function_privilege(p.oid, 'execute')) as able`,
  )
  return rows[0]?.able === true
}

/** Clears the partitions that are due. Skips a partition that is locked instead of waiting. Several processes may call it at once. */
export async function rotate(
  client: ClientBase,
  { retention, maxLogSize }: RotateOptions,
): Promise<Rotation> {
  const { rows } = await inTransaction(client, () =>
    client.query<Row>(
      'select dropped, early, dropped_bytes, bytes, busy from listenql.rotate(make_interval(secs => $1), $2)',
      [retention / 1000, maxLogSize ?? null],
    ),
  )
  const [row] = rows
  return {
    dropped: row?.dropped ?? 0,
    early: row?.early ?? 0,
    droppedBytes: Number(row?.dropped_bytes ?? 0),
    bytes: Number(row?.bytes ?? 0),
    busy: row?.busy ?? undefined,
  }
}
