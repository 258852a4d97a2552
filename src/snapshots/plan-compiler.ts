import type pg from 'pg'
import { type ImageKind, readImageKinds } from '../catalog/image-sql.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import { UTF8_TEXT } from '../filters/index.js'
import type { PlanSql } from '../plan/plan-sql.js'
import type { SnapshotQuery } from './snapshot-query.js'
import { createSnapshotTexts } from './snapshot-texts.js'

/** Turns queries into SQL, which depends on how the database stores texts and makes images of types. */
export interface PlanCompiler {
  /** Runs in a transaction with SAVEPOINT, and may roll back to it. */
  compile(client: pg.ClientBase, query: SnapshotQuery): Promise<PlanSql>
  /** The SQL for a database that stores texts as UTF8. Undefined: a table of the query has never been compiled before. */
  recompile(query: SnapshotQuery): PlanSql | undefined
}

type Kinds = ReadonlyMap<number, ImageKind>

export function createPlanCompiler(): PlanCompiler {
  const known = new WeakMap<WatchedTable, Kinds>()
  const texts = createSnapshotTexts()

  async function kindsOf(client: pg.ClientBase, table: WatchedTable): Promise<Kinds> {
    const before = known.get(table)
    if (before) return before
    const kinds = await readImageKinds(client, table.columns)
    known.set(table, kinds)
    return kinds
  }

  return {
    async compile(client, query) {
      const text = await texts.of(client, query.texts)
      const all: Kinds[] = []
      for (const table of query.plan.tables.values()) all.push(await kindsOf(client, table))
      return query.sql(united(all), text)
    },
    recompile(query) {
      const all: Kinds[] = []
      for (const table of query.plan.tables.values()) {
        const kinds = known.get(table)
        if (!kinds) return undefined
        all.push(kinds)
      }
      return query.sql(united(all), UTF8_TEXT)
    },
  }
}

function united(all: readonly Kinds[]): Kinds {
  return new Map(all.flatMap(kinds => [...kinds]))
}
