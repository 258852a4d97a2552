// Which functions read nothing but their arguments and settings: those of Postgres, by their names; and SQL functions with a text as
// their body that only combine settings and arguments, such as `auth.uid()` of Supabase. Everything that is not known counts as reading.

/**
 * STABLE functions of Postgres that depend on arguments and settings alone. The others read the clock, the catalogue, the session or
 * rows.
 */
const HARMLESS = new RegExp(
  `^(${[
    'anytextcat|textanycat|concat|concat_ws|format|length|quote_literal|quote_nullable|convert|convert_from|convert_to',
    'array_in|array_out|array_to_json|array_to_string|cash_in|cash_out|money|numeric|domain_in|pg_typeof',
    'current_setting|current_database|current_schema|current_schemas|current_user|session_user|getpgusername',
    'date|time|timetz|timezone|overlaps|extract|in_range|generate_series|make_timestamptz|(date|timestamp|timestamptz|interval|time|timetz)_\\w+',
    'enum_\\w+|range_\\w+|multirange_\\w+|record_\\w+|to_char|to_date|to_number|to_timestamp|to_json|to_jsonb|row_to_json|jsonb?_\\w+',
    'to_tsquery|to_tsvector|plainto_tsquery|phraseto_tsquery|websearch_to_tsquery|ts_headline|ts_match_\\w+|get_current_ts_config|xml|xml_in|xml_out',
  ].join('|')})$`,
)

/** @param inputs the number of its arguments */
export function isHarmless(name: string, inputs: number): boolean {
  // With two arguments it asks about the present role, whose memberships belong to its rights.
  return HARMLESS.test(name) || (name === 'pg_has_role' && inputs === 2)
}

const KEYWORDS = new Set(
  'select as case when then else end and or not is null true false in like ilike between return'.split(' '),
)
const CALLS = new Set(
  `coalesce nullif current_setting lower upper trim btrim ltrim rtrim replace split_part substr substring left right length
  json_extract_path json_extract_path_text jsonb_extract_path jsonb_extract_path_text to_json to_jsonb greatest least cast`.split(
    /\s+/,
  ),
)
const TYPES = new Set(
  'text varchar json jsonb uuid int int2 int4 int8 integer bigint smallint bool boolean numeric name'.split(
    ' ',
  ),
)
const TOKEN =
  /\s+|--[^\n]*|\/\*(?:[^*]|\*(?!\/))*\*\/|'(?:[^']|'')*'|::|\$\d+|\d+(?:\.\d+)?|[a-z_][a-z0-9_]*|[-+*/<>=~!@#%^&|?]+|[(),.;[\]]/gy

/**
 * Whether the body of an SQL function only combines settings, constants and its arguments.
 * @param source its body as text
 * @param names of its arguments
 */
export function readsOnlySettings(source: string, names: readonly string[] = []): boolean {
  const tokens = tokensOf(source.toLowerCase())
  if (!tokens) return false
  const known = new Set(names.map(name => name.toLowerCase()))
  if (tokens.at(-1) === ';') tokens.pop()
  if (tokens[0] !== 'select') return false
  return tokens.every((token, i) => {
    if (token === ';') return false
    if (!/^[a-z_]/.test(token)) return true
    const before = tokens[i - 1]
    const after = tokens[i + 1]
    if (token === 'select') return i === 0 || before === '('
    if (before === '.') return tokens[i - 2] === 'pg_catalog' && after === '(' && CALLS.has(token)
    if (token === 'pg_catalog') return after === '.'
    if (before === '::') return TYPES.has(token)
    if (before === 'as') return TYPES.has(token) || after === undefined
    if (after === '(') return CALLS.has(token) || KEYWORDS.has(token)
    return KEYWORDS.has(token) || known.has(token)
  })
}

/** Without comments and white space. Undefined: there is something that this does not know, such as a quoted name. */
function tokensOf(text: string): string[] | undefined {
  const tokens: string[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < text.length) {
    const [token] = TOKEN.exec(text) ?? []
    if (token === undefined) return undefined
    if (!/^(\s|--|\/\*)/.test(token)) tokens.push(token)
  }
  return tokens
}
