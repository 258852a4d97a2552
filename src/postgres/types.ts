import pg from 'pg'

/**
 * Kind of a type for listenql: it decides the GraphQL type, the operators and how values compare. `text` stands for
 * text, varchar and name; `other` for every type that is shown as a String and compared by its text in Postgres.
 */
export type TypeCategory =
  | 'bool'
  | 'bpchar'
  | 'bytea'
  | 'citext'
  | 'composite'
  | 'date'
  | 'enum'
  | 'float4'
  | 'float8'
  | 'int2'
  | 'int4'
  | 'int8'
  | 'interval'
  | 'json'
  | 'numeric'
  | 'other'
  | 'text'
  | 'time'
  | 'timestamp'
  | 'timestamptz'
  | 'timetz'
  | 'uuid'

export interface ClassifiedType {
  /** Name in pg_type of the type below all domains, and of the element if it is an array: `int4`, `varchar`, `mood`. */
  readonly baseType: string
  /** Kind of the element, if it is an array. */
  readonly category: TypeCategory
  readonly isArray: boolean
  /** For an enum: its labels in their order. */
  readonly enumLabels?: readonly string[]
  /** For an enum: the name of its schema, unquoted. Together with `baseType` it identifies the enum. */
  readonly enumSchema?: string
  /** For a domain over an enum: the enum as SQL, which Postgres does not find by itself: `public."mood"`. */
  readonly enumType?: string
}

export interface Column extends ClassifiedType {
  readonly name: string
  /** As `format_type` shows it, for descriptions: `character varying(20)`. */
  readonly typeName: string
  readonly typeOid: number
  readonly notNull: boolean
}

/** A row of pg_type, as `typesQuery` returns it. */
export interface PgType {
  readonly oid: number
  readonly name: string
  /** As SQL, quoted where necessary. */
  readonly schema: string
  /** typtype: b base, c composite, d domain, e enum, p pseudo, r range, m multirange. */
  readonly kind: string
  /** typbasetype of a domain; else 0. */
  readonly baseOid: number
  /** The element of a true array; else 0 (point has a typelem, but is no array). */
  readonly elementOid: number
  readonly labels: readonly string[] | null
}

/** Reads the types of $1 (oid[]) and all types that they depend on. It needs no right except the usual one on pg_catalog. */
export const typesQuery = `
with recursive used(oid) as (
  select unnest($1::pg_catalog.oid[])
  union
  select next from used join pg_catalog.pg_type t using (oid)
    cross join lateral (values (t.typbasetype), (case when t.typlen = -1 then t.typelem else 0 end)) as n(next)
  where next <> 0
)
select t.oid::pg_catalog.int8::pg_catalog.float8 as "oid", t.typname::pg_catalog.text as "name",
  t.typnamespace::pg_catalog.regnamespace::pg_catalog.text as "schema",
  t.typtype::pg_catalog.text as "kind", t.typbasetype::pg_catalog.int8::pg_catalog.float8 as "baseOid",
  case when t.typlen = -1 and t.typtype <> 'd' then t.typelem::pg_catalog.int8::pg_catalog.float8 else 0 end
    as "elementOid",
  (select pg_catalog.array_agg(e.enumlabel::pg_catalog.text order by e.enumsortorder)
    from pg_catalog.pg_enum e where e.enumtypid = t.oid) as "labels"
from pg_catalog.pg_type t join used using (oid)`

/** Oids of built-in types never change (src/include/catalog/pg_type.dat). */
const BUILT_IN: ReadonlyMap<number, TypeCategory> = new Map([
  [16, 'bool'],
  [17, 'bytea'],
  [19, 'text'], // name
  [20, 'int8'],
  [21, 'int2'],
  [23, 'int4'],
  [25, 'text'],
  [114, 'json'],
  [700, 'float4'],
  [701, 'float8'],
  [1042, 'bpchar'],
  [1043, 'text'], // varchar
  [1082, 'date'],
  [1083, 'time'],
  [1114, 'timestamp'],
  [1184, 'timestamptz'],
  [1186, 'interval'],
  [1266, 'timetz'],
  [1700, 'numeric'],
  [2950, 'uuid'],
  [3802, 'json'], // jsonb
])

/** Resolves domains and one level of array. A type that is not in `types` is `other`. */
export function classifyType(oid: number, types: ReadonlyMap<number, PgType>): ClassifiedType {
  const outer = withoutDomains(oid, types)
  if (!outer?.elementOid) return { ...classifyScalar(oid, outer), isArray: false }
  return { ...classifyScalar(outer.elementOid, withoutDomains(outer.elementOid, types)), isArray: true }
}

function withoutDomains(oid: number, types: ReadonlyMap<number, PgType>): PgType | undefined {
  let type = types.get(oid)
  while (type?.kind === 'd') type = types.get(type.baseOid)
  return type
}

function classifyScalar(oid: number, type: PgType | undefined): Omit<ClassifiedType, 'isArray'> {
  if (!type) return { baseType: `type ${oid}`, category: BUILT_IN.get(oid) ?? 'other' }
  const base = { baseType: type.name }
  const builtIn = BUILT_IN.get(type.oid)
  if (builtIn) return { ...base, category: builtIn }
  if (type.kind === 'e') {
    const enumeration = {
      ...base,
      category: 'enum',
      enumLabels: type.labels ?? [],
      enumSchema: unquote(type.schema),
    } as const
    return type.oid === oid
      ? enumeration
      : { ...enumeration, enumType: `${type.schema}.${pg.escapeIdentifier(type.name)}` }
  }
  if (type.kind === 'c') return { ...base, category: 'composite' }
  // An extension's type has no fixed oid.
  if (type.kind === 'b' && type.name === 'citext') return { ...base, category: 'citext' }
  return { ...base, category: 'other' }
}

function unquote(identifier: string): string {
  return identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : identifier
}
