import type { TableColumn } from '../catalog/watched-table.js'
import { isOfTheToken } from '../lib/claims.js'
import type { Policy } from './policies.js'

const SHOWING_SETTINGS = 'pg_settings|pg_show_all_settings|show_all_settings'
/** Postgres functions that run SQL from a text, or show all settings: the policy's own text does not show what they do. */
const INDIRECT = new RegExp(`\\b(\\w*_to_xml\\w*|ts_stat|ts_rewrite|${SHOWING_SETTINGS})\\b`, 'i')
/** What the names of those that run SQL contain. */
export const RUNNING_SQL = '_to_xml|ts_stat|ts_rewrite'

/** User-defined types run user code when an image is read: a domain has checks. An enum has none. */
function isPlain({ typeOid, category, enumType }: TableColumn): boolean {
  return typeOid < 16384 || (category === 'enum' && enumType === undefined)
}

/**
 * Whether the text of the policies shows all that they do. Otherwise they may call a function that is declared IMMUTABLE and
 * still reads the claims: a plan then holds the result for the viewer it was made for, and so do the plans that a function in a
 * procedural language caches in the session.
 * @param columns the columns that are read from an image
 */
export function isTransparent(policies: readonly Policy[], columns: readonly TableColumn[]): boolean {
  return (
    policies.every(policy => policy.isTransparent && !INDIRECT.test(policy.using)) && columns.every(isPlain)
  )
}

const STRING = `'((?:[^']|'')*)'`
/** One claim by its name, as pg_get_expr writes it: `((NULLIF(current_setting('request.jwt.claims'::text, true), ''::text))::json ->> 'sub'::text)`. */
const ONE_CLAIM = new RegExp(
  `current_setting\\('request\\.jwt\\.claims'::text(?:, (?:true|false))?\\)(?:, '(?:\\{\\})?'::text)?\\)*::jsonb?\\)* ->>? ${STRING}::text`,
  'g',
)
const OTHER_SETTING = /current_setting\('(?!request\.)[^']*'::text(?:, (?:true|false))?\)/g

/**
 * Whether policies may read claims that differ in every token: `jti`, `iat`, `exp`, `nbf`. They do not if every claim that they
 * read has another name.
 */
export function mayReadToken(policies: readonly Policy[], isAllInText: boolean): boolean {
  return !isAllInText || policies.some(({ using }) => mayTextReadToken(using))
}

function mayTextReadToken(using: string): boolean {
  for (const [, name = ''] of using.matchAll(ONE_CLAIM)) if (isOfTheToken(name)) return true
  const rest = using.replaceAll(ONE_CLAIM, '').replaceAll(OTHER_SETTING, '')
  return /current_setting|request\.jwt/i.test(rest)
}
