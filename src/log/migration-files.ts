import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** One file of `sql/migrations`. */
export interface Migration {
  readonly version: number
  readonly name: string
  readonly sql: string
}

/** The numbered files of `sql/migrations`, in order. @throws if the numbers are not 1, 2, 3, … without a gap */
export function readMigrations(folder: string = migrationsFolder()): readonly Migration[] {
  const migrations = readdirSync(folder)
    .flatMap(file => {
      const [, number, name] = /^(\d{4})_(\w+)\.sql$/.exec(file) ?? []
      if (number === undefined || name === undefined) return []
      return [{ version: Number(number), name, sql: readFileSync(join(folder, file), 'utf8') }]
    })
    .sort((a, b) => a.version - b.version)
  migrations.forEach((migration, index) => {
    if (migration.version !== index + 1) throw new Error(`${folder} has no migration ${index + 1}`)
  })
  return migrations
}

/** Searches upwards for `sql/migrations`, because this file runs from `src` or from `dist/src`. */
function migrationsFolder(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const candidate = join(folder, 'sql', 'migrations')
    try {
      readdirSync(candidate)
      return candidate
    } catch (error) {
      if (dirname(folder) === folder) throw error
    }
  }
}
