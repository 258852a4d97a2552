import type { ClientBase } from 'pg'
import { type Migration, readMigrations } from './migration-files.js'

/** An object that migrations create in schema `listenql`. */
export interface SchemaPart {
  readonly kind: 'function' | 'sequence' | 'table' | 'type' | 'view'
  readonly name: string
}

/**
 * The objects that these migrations create and do not drop, each once. Recognises statements at the beginning of a line only, so
 * statements inside functions do not count.
 */
export function partsOf(migrations: readonly Migration[]): readonly SchemaPart[] {
  const parts = new Map<string, SchemaPart>()
  for (const { sql } of migrations) {
    const created = sql.matchAll(
      /^create (?:or replace )?(?:unlogged )?(table|view|sequence|function|type) (?:if not exists )?listenql\.(\w+)/gm,
    )
    for (const [, kind, name] of created) {
      parts.set(`${kind} ${name}`, { kind: kind as SchemaPart['kind'], name: name as string })
    }
    const dropped = sql.matchAll(/^drop (table|view|sequence|function|type) (?:if exists )?listenql\.(\w+)/gm)
    for (const [, kind, name] of dropped) parts.delete(`${kind} ${name}`)
  }
  return [...parts.values()]
}

const FOUND = `
select case c.relkind when 'S' then 'sequence' when 'v' then 'view' when 'c' then 'type' else 'table' end as kind,
  c.relname::pg_catalog.text as name
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'listenql' and c.relkind in ('r', 'p', 'S', 'v', 'c')
union all
select 'function', p.proname::pg_catalog.text from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace where n.nspname = 'listenql'`

/** The objects that exist in schema `listenql`. Needs no privilege on the schema. */
export async function readParts(client: ClientBase): Promise<readonly SchemaPart[]> {
  const { rows } = await client.query<SchemaPart>(FOUND)
  return rows
}

/** The parts of `wanted` that are not in `found`. */
export function missingParts(
  wanted: readonly SchemaPart[],
  found: readonly SchemaPart[],
): readonly SchemaPart[] {
  const keys = new Set(found.map(({ kind, name }) => `${kind} ${name}`))
  return wanted.filter(({ kind, name }) => !keys.has(`${kind} ${name}`))
}

/** The newest version whose parts all exist: for a schema that was restored without its rows. */
export function versionOf(
  found: readonly SchemaPart[],
  migrations: readonly Migration[] = readMigrations(),
): number {
  let version = 0
  for (const [i, migration] of migrations.entries()) {
    const own = partsOf([migration])
    if (missingParts(own, found).length > 0) break
    // A migration that only replaces functions cannot be recognised by its objects.
    if (own.some(part => !migrations.slice(0, i).some(before => has(before, part)))) version = i + 1
  }
  return version
}

function has(migration: Migration, { kind, name }: SchemaPart): boolean {
  return partsOf([migration]).some(part => part.kind === kind && part.name === name)
}
