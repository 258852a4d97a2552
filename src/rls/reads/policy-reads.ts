// What the policies of a table read for a role: whatever can change which rows the role sees. A live query is read again when it changes.
import { isOfTheToken } from '../../lib/claims.js'
import { isHarmless, readsOnlySettings } from './plain-functions.js'

/** Columns by name; undefined: all, or what the row itself does not show. */
export type ReadColumns = readonly string[] | undefined

/** A table whose rows decide which rows of another one are visible. */
export interface ReadTable {
  readonly relid: string
  readonly schema: string
  readonly name: string
  readonly columns: ReadColumns
  /** The partitioned tables that it belongs to, and the tables that it inherits from, the nearest first. */
  readonly above: readonly string[]
  /** The policy that leads to it. */
  readonly policy: string
}

/** Something that decides which rows are visible and that no change of a table shows. */
export interface UnknownRead {
  readonly policy: string
  /** As in a sentence: `the function app.f(integer)`. */
  readonly what: string
  /** As in a sentence after it: `is written in plpgsql`. */
  readonly reason: string
  /** Whether a comment on the function may declare what it reads. */
  readonly isDeclarable: boolean
}

export interface PolicyReads {
  /** Whether policies apply to the role. */
  readonly isSecured: boolean
  /** The columns of the table itself. */
  readonly own: ReadColumns
  readonly tables: readonly ReadTable[]
  readonly unknown: readonly UnknownRead[]
  /** Whether claims that differ in every token may decide: `jti`, `iat`, `exp`, `nbf`. */
  readonly mayReadToken: boolean
  /** The oids of all tables and views, and of all functions, that it depends on. */
  readonly relations: readonly string[]
  readonly functions: readonly string[]
}

interface Flags {
  readonly columns:
    | readonly { readonly relid: string; readonly name: string; readonly isPlain: boolean }[]
    | null
  readonly isTimed: boolean | null
  readonly isSampled: boolean | null
  readonly isWhole: boolean | null
}

interface FoundPolicy extends Flags {
  readonly text: string
  readonly relid: string
}

interface FoundRelation extends Flags {
  readonly schema: string
  readonly name: string
  /** relkind */
  readonly type: string
  /** A declaration names it. */
  readonly isWholly: boolean
  readonly above: readonly string[]
  /** The definition of a view. */
  readonly text: string | null
}

interface FoundFunction extends Flags {
  readonly schema: string
  readonly name: string
  readonly arguments: string
  readonly inputs: number
  readonly names: readonly string[] | null
  readonly language: string
  /** prokind */
  readonly kind: string
  /** provolatile */
  readonly volatility: string
  readonly isOfPostgres: boolean
  readonly source: string | null
  readonly isParsed: boolean
  /** Its parsed body calls current_setting. */
  readonly readsSettings: boolean | null
  readonly takesRole: boolean
  readonly declared: string | null
  readonly undeclarable: readonly string[] | null
}

type Step = { readonly policy: string; readonly oid: string } & (
  | { readonly kind: 'policy'; readonly found: FoundPolicy }
  | { readonly kind: 'relation'; readonly found: FoundRelation }
  | { readonly kind: 'function'; readonly found: FoundFunction }
)

/** What a row of POLICY_READS has as JSON. */
interface Found {
  readonly isSecured: boolean
  readonly steps: readonly Step[]
}

/** @param text JSON of a row of POLICY_READS about the table */
export function policyReadsOf(relid: string, text: string): PolicyReads {
  const { isSecured, steps } = JSON.parse(text) as Found
  const columnsOf = columnsRead(steps)
  const wholly = new Set(
    steps.flatMap(step => (step.kind === 'relation' && step.found.isWholly ? [step.oid] : [])),
  )
  const tables = new Map<string, ReadTable>()
  const unknown = new Map<string, UnknownRead>()
  for (const step of steps) {
    for (const { what, reason, isDeclarable = false } of unknownIn(step))
      unknown.set(`${what} ${reason}`, { policy: step.policy, what, reason, isDeclarable })
    if (step.kind !== 'relation' || !isTable(step.found) || tables.has(step.oid)) continue
    const { schema, name, above } = step.found
    const columns = wholly.has(step.oid) ? undefined : columnsOf(step.oid)
    tables.set(step.oid, { relid: step.oid, schema, name, above, columns, policy: step.policy })
  }
  return {
    isSecured,
    own: columnsOf(relid),
    tables: [...tables.values()],
    unknown: [...unknown.values()],
    mayReadToken: steps.some(mayStepReadToken),
    relations: steps.flatMap(({ kind, oid }) => (kind === 'relation' ? [oid] : [])),
    functions: steps.flatMap(({ kind, oid }) => (kind === 'function' ? [oid] : [])),
  }
}

function isTable({ type, schema }: FoundRelation): boolean {
  return (type === 'r' || type === 'p') && !isOfSystem(schema)
}

function isOfSystem(schema: string): boolean {
  return schema === 'pg_catalog' || schema === 'information_schema'
}

/** Postgres has recorded all columns, except those of whole rows; system columns do not show in images. */
function columnsRead(steps: readonly Step[]): (relid: string) => ReadColumns {
  const byTable = new Map<string, Set<string>>()
  const whole = new Set<string>()
  for (const { found } of steps) {
    for (const { relid, name, isPlain } of found.columns ?? []) {
      const columns = byTable.get(relid) ?? new Set()
      byTable.set(relid, columns.add(name))
      if (!isPlain) whole.add(relid)
    }
  }
  const isAnyWhole = steps.some(({ found }) => found.isWhole)
  return relid => (isAnyWhole || whole.has(relid) ? undefined : [...(byTable.get(relid) ?? [])])
}

type Unknown = Pick<UnknownRead, 'what' | 'reason'> & Partial<UnknownRead>

function* unknownIn(step: Step): Iterable<Unknown> {
  const { found } = step
  if (found.isTimed) yield { what: 'the current time', reason: 'changes without an event' }
  if (found.isSampled) yield { what: 'TABLESAMPLE', reason: 'chooses rows at random' }
  if (step.kind === 'relation') yield* unknownRelation(step.found)
  if (step.kind === 'function') yield* unknownFunction(step.found)
}

const RELATION_WORDS: Readonly<Record<string, string>> = {
  f: 'the foreign table',
  m: 'the materialized view',
  S: 'the sequence',
}

function* unknownRelation({ schema, name, type }: FoundRelation): Iterable<Unknown> {
  if (isOfSystem(schema))
    yield { what: `${schema}.${name}`, reason: 'shows the system, whose changes are not logged' }
  else if (!['r', 'p', 'v'].includes(type))
    yield { what: `${RELATION_WORDS[type] ?? 'the relation'} ${schema}.${name}`, reason: 'cannot be watched' }
}

function* unknownFunction(found: FoundFunction): Iterable<Unknown> {
  const { schema, name, inputs, names, language, volatility, declared, undeclarable, source } = found
  if (found.isOfPostgres) {
    if (volatility === 'v' || !isHarmless(name, inputs))
      yield { what: `the function ${name}`, reason: 'depends on more than its arguments' }
    return
  }
  const what = `the function ${schema}.${name}(${found.arguments})`
  if (declared !== null) {
    for (const other of (undeclarable ?? []).filter(one => one !== 'nothing' && one !== ''))
      yield { what, reason: `declares that it reads ${other}, which is no table`, isDeclarable: true }
    return
  }
  const unknown = (reason: string): Unknown => ({ what, reason, isDeclarable: true })
  if (found.takesRole) yield unknown('takes another role')
  else if (found.isParsed) return
  else if (found.kind !== 'f') yield unknown('is no plain function')
  else if (language === 'c' || language === 'internal') {
    if (volatility !== 'i') yield unknown(`is written in ${language === 'c' ? 'C' : 'the server itself'}`)
  } else if (language !== 'sql') yield unknown(`is written in ${language}`)
  else if (!readsOnlySettings(source ?? '', names ?? [])) yield unknown('has its body as text')
}

/** Claims by name, in SQL of pg_get_expr and in that of functions, without spaces and casts to text. */
const ONE_CLAIM =
  /current_setting\('request\.jwt\.claims'(?:,(?:true|false))?\)(?:,'(?:\{\})?')?\)*(?:::jsonb?)?\)*->>?'((?:[^']|'')*)'/gi
/** The form of older versions of PostgREST, which has a setting for each claim. */
const ONE_SETTING = /current_setting\('request\.jwt\.claim\.([^']*)'(?:,(?:true|false))?\)/gi
const OTHER_SETTING = /current_setting\('(?!request\.)[^']*'(?:,(?:true|false))?\)/gi

function mayStepReadToken({ kind, found }: Step): boolean {
  if (kind === 'relation') return mayReadToken(found.text ?? '')
  if (kind === 'policy') return mayReadToken(found.text)
  const { isOfPostgres, language, isParsed, readsSettings, declared, source, names } = found
  if (isOfPostgres || language === 'c' || language === 'internal') return false
  if (isParsed && declared === null) return readsSettings === true
  // Another function, which is not followed, may read them.
  return language !== 'sql' || !readsOnlySettings(source ?? '', names ?? []) || mayReadToken(source ?? '')
}

function mayReadToken(sql: string): boolean {
  const text = sql
    .replaceAll(/--[^\n]*/g, ' ')
    .replaceAll(/\s+/g, '')
    .replaceAll('::text', '')
  const known = [ONE_CLAIM, ONE_SETTING]
  if (known.some(form => [...text.matchAll(form)].some(([, name = '']) => isOfTheToken(name)))) return true
  const rest = [...known, OTHER_SETTING].reduce((left, form) => left.replaceAll(form, ''), text)
  return /current_setting|request\.jwt/i.test(rest)
}
