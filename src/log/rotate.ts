import type { ClientBase } from 'pg'
import { ask, inTransaction } from '../postgres/lock-retry.js'

export interface RotateOptions {
  /** Events that are younger stay, in ms. */
  readonly retention: number
  /** Bytes above which the oldest events go, whatever their age; undefined: no limit. */
  readonly maxLogSize: number | undefined
}

/** What `listenql.rotate` did. Sizes in bytes. */
export interface Rotation {
  /** Partitions that were cleared. */
  readonly dropped: number
  /** Those of them that went for the limit alone. */
  readonly early: number
  readonly droppedBytes: number
  /** Size of the log now. */
  readonly bytes: number
  /** Why something that is due was not cleared; another rotation will. */
  readonly busy: string | undefined
}

interface Row {
  readonly dropped: number
  readonly early: number
  readonly dropped_bytes: string
  readonly bytes: string
  readonly busy: string | null
}

/** Whether there is a log here that our login may rotate. Not on a standby. */
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

/** Clears what is due, as a whole, and waits for nobody. Several processes may do so at once. */
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
