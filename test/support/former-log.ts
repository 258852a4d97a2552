import { readMigrations } from '../../src/log/migration-files.js'
import { createLog, type Delivery, type TestLog } from './log.js'

/** Installs an earlier version of schema `listenql`, exactly as that version did. */
export async function installFormer(
  query: (sql: string, params?: readonly unknown[]) => Promise<unknown>,
  version: number,
): Promise<void> {
  for (const { sql, version: number, name } of readMigrations().slice(0, version)) {
    await query(sql)
    await query('insert into listenql.migration (version, name) values ($1, $2)', [number, name])
  }
}

/** Creates a database whose schema `listenql` has an earlier version, exactly as that version created it. */
export async function createFormerLog(version: number): Promise<TestLog> {
  const log = await createLog({ migrated: false })
  await installFormer(log.query, version)
  let position = await log.newest()
  return {
    ...log,
    async fresh() {
      const all: Delivery[] = []
      for (;;) {
        const page = await log.pull(position)
        const last = page.at(-1)
        if (!last) return all
        all.push(...page)
        position = last
      }
    },
  }
}
