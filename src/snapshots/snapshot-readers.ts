import type pg from 'pg'
import { isStatementError } from '../postgres/sql-state.js'
import { importSnapshot } from './snapshot-cut.js'

export interface SnapshotReadersOptions {
  readonly pool: pg.Pool
  /** Most connections that read at a time. */
  readonly most: number
  /** Longest that a statement may take, in ms. */
  readonly queryTimeout: number
  /** Called when a connection is free again. */
  readonly onFree: () => void
}

/**
 * The connections that read in an exported snapshot. Each reader that `connect` has returned must be released, unless
 * `importSnapshot` has released it.
 */
export interface SnapshotReaders {
  readonly free: number
  /** Connects `count` readers, or as many as the database accepts. */
  connect(count: number): Promise<pg.PoolClient[]>
  /**
   * Begins a transaction with the snapshot on each of these readers, and releases those that cannot import it.
   * @returns the others; none if Postgres refuses
   * @throws the error of a lost connection if none can
   */
  importSnapshot(readers: readonly pg.PoolClient[], id: string): Promise<pg.PoolClient[]>
  /** @param isBroken whether the connection must not be used again. Default: false */
  release(reader: pg.PoolClient, isBroken?: boolean): void
}

export function createSnapshotReaders(options: SnapshotReadersOptions): SnapshotReaders {
  const { pool, queryTimeout, onFree } = options
  let free = options.most

  function release(reader: pg.PoolClient, isBroken = false): void {
    free++
    reader.release(isBroken)
    onFree()
  }

  return {
    get free() {
      return free
    },
    async connect(count) {
      free -= count
      const results = await Promise.allSettled(Array.from({ length: count }, () => pool.connect()))
      const readers = results.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
      free += count - readers.length
      return readers
    },
    async importSnapshot(readers, id) {
      const imported: pg.PoolClient[] = []
      let lost: unknown
      await Promise.all(
        readers.map(async reader => {
          try {
            await importSnapshot(reader, id, queryTimeout)
            imported.push(reader)
          } catch (error) {
            if (!isStatementError(error)) lost = error
            release(reader, true)
          }
        }),
      )
      if (imported.length === 0 && lost !== undefined) throw lost
      return imported
    },
    release,
  }
}
