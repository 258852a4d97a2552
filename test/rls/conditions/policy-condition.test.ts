import { describe, expect, it } from 'vitest'
import { type PolicyCondition, policyConditionOf } from '../../../src/rls/conditions/policy-condition.js'
import type { Policy } from '../../../src/rls/policies.js'
import { column, table } from '../../support/watched-tables.js'

const TYPES = { owner: 25, vc: 1043, n: 23, s: 21, b: 20, u: 2950, ch: 1042, nm: 19, dom: 20_000, num: 1700, flag: 16, true: 25, 'Own er': 25 } // biome-ignore format: a list
const CATEGORIES = { 20: 'int8', 21: 'int2', 23: 'int4', 2950: 'uuid' } as const
const COLUMNS = Object.entries(TYPES).map(([name, typeOid], i) =>
  column(name, CATEGORIES[typeOid as keyof typeof CATEGORIES] ?? 'text', { typeOid, number: i + 1 }),
)
const TABLE = table('items', COLUMNS)

const policy = (using: string, more: Partial<Policy> = {}): Policy => ({
  name: 'p',
  isPermissive: true,
  using,
  columns: COLUMNS.map(({ name, number, typeOid }) => ({
    name,
    number,
    typeOid,
    isSystem: false,
    collation: null,
  })),
  isTransparent: true,
  isBuiltIn: true,
  readsTables: false,
  ...more,
})

/** The condition in short words. */
function words(condition: PolicyCondition | undefined): string {
  if (!condition) return 'ask'
  switch (condition.kind) {
    case 'constant':
      return String(condition.value)
    case 'claim':
      return `${condition.claim} is ${condition.value}`
    case 'equals':
      return `${condition.column.name} = ${condition.claim} as ${condition.cast}`
    default:
      if (condition.conditions.length === 1 && condition.conditions[0]) return words(condition.conditions[0])
      return `(${condition.conditions.map(words).join(` ${condition.kind} `)})`
  }
}

const read = (using: string) => words(policyConditionOf(TABLE, [policy(using)]))

const CLAIMS = `(current_setting('request.jwt.claims'::text, true))::json`
const SUB = `(${CLAIMS} ->> 'sub'::text)`

describe('a condition is made', () => {
  it.each([
    ['true', 'true'],
    ['false', 'false'],
    [`(owner = ${SUB})`, 'owner = sub as text'],
    [`(${SUB} = owner)`, 'owner = sub as text'],
    [`(owner = ( SELECT ${SUB}))`, 'owner = sub as text'],
    [`(owner = ( SELECT ${SUB} AS "?column?"))`, 'owner = sub as text'],
    [`("Own er" = ${SUB})`, 'Own er = sub as text'],
    [`("true" = ${SUB})`, 'true = sub as text'],
    [`((vc)::text = ${SUB})`, 'vc = sub as text'],
    [`((n)::text = ${SUB})`, 'n = sub as text'],
    [`((u)::text = ${SUB})`, 'u = sub as text'],
    [`(u = (${SUB})::uuid)`, 'u = sub as uuid'],
    [`(u = ( SELECT (${SUB})::uuid AS uuid))`, 'u = sub as uuid'],
    [`(u = (( SELECT ${SUB}))::uuid)`, 'u = sub as uuid'],
    [`(n = (${SUB})::bigint)`, 'n = sub as bigint'],
    [`(b = (${SUB})::smallint)`, 'b = sub as smallint'],
    [`(s = (${SUB})::integer)`, 's = sub as integer'],
    [`(owner = ((NULLIF(current_setting('request.jwt.claims'::text, true), ''::text))::jsonb ->> 'sub'::text))`, 'owner = sub as text'],
    [`(owner = ((COALESCE(current_setting('request.jwt.claims'::text), '{}'::text))::jsonb ->> 'a.b/c d'::text))`, 'owner = a.b/c d as text'],
    [`(owner = ((( SELECT current_setting('request.jwt.claims'::text) AS current_setting))::json ->> 'sub'::text))`, 'owner = sub as text'],
    [`(${SUB} = 'admin'::text)`, 'sub is admin'],
    [`('admin'::text = ${SUB})`, 'sub is admin'],
    [`((owner = ${SUB}) OR (n = (${SUB})::integer) OR true)`, '(owner = sub as text or n = sub as integer or true)'],
    [`(((owner = ${SUB}) OR false) AND (${SUB} = 'a'::text))`, '((owner = sub as text or false) and sub is a)'],
  ])('from %s', (using, expected) => expect(read(using)).toBe(expected)) // biome-ignore format: a table

  it('from permissive and restrictive policies, as Postgres combines them', () => {
    const all = [
      policy(`(owner = ${SUB})`),
      policy('false', { isPermissive: false }),
      policy(`(n = (${SUB})::integer)`),
      policy('true', { isPermissive: false }),
    ]
    expect(words(policyConditionOf(TABLE, all))).toBe(
      '(false and true and (owner = sub as text or n = sub as integer))',
    )
  })
})

describe('the database is asked', () => {
  it.each([
    `(NOT (owner = ${SUB}))`,
    `(owner <> ${SUB})`,
    `(owner ->> ${SUB})`,
    `(owner IS NOT DISTINCT FROM ${SUB})`,
    `(owner OPERATOR(app.=) ${SUB})`,
    `(owner = ${SUB}) OR true`,
    `((owner = ${SUB}) OR true AND false)`,
    `((owner = ${SUB}) OR`,
    `((owner = ${SUB}) = true)`,
    `(owner = ${SUB})::boolean`,
    'flag',
    `((owner = ${SUB}) AND flag)`,
    `((owner = ${SUB}) AND (flag OR true))`,
    `(flag OR (owner = ${SUB}))`,
    '"true"',
    '"false"',
    'NULL::boolean',
    `(owner = 'ann'::text)`,
    `('a'::text = 'a'::text)`,
    '(owner = owner)',
    `(${SUB} = ${SUB})`,
    `((${SUB})::uuid = 'f47ac10b-58cc-4372-a567-0e02b2c3d479'::text)`,
    `(${SUB} = ('a'::text)::text)`,
    `(items.owner = ${SUB})`,
    `(owner = (${SUB} COLLATE "C"))`,
    `((owner)::text = ${SUB})`, // Postgres does not write it: only a domain or another type named text would need it
    `(vc = ${SUB})`,
    `((ch)::text = ${SUB})`,
    `(ch = ${SUB})`,
    `(nm = ${SUB})`,
    `((nm)::text = ${SUB})`,
    `(dom = ${SUB})`,
    `((dom)::text = ${SUB})`,
    `((num)::text = ${SUB})`,
    `((flag)::text = ${SUB})`,
    `(num = (${SUB})::integer)`,
    `(num = (${SUB})::numeric)`,
    `(n = (${SUB})::numeric)`,
    `(n = ${SUB})`,
    `(owner = (${SUB})::integer)`,
    `(owner = (${SUB})::uuid)`,
    `((owner)::integer = (${SUB})::integer)`,
    `((u)::text = (${SUB})::uuid)`,
    `((n)::text = (${SUB})::integer)`,
    `(u = (${SUB})::integer)`,
    `(n = ((${SUB})::uuid)::integer)`,
    `(n = ((${SUB})::bigint)::integer)`,
    `((vc)::text = ((${SUB})::character varying)::text)`,
    `(other = ${SUB})`,
    `(owner = current_setting('request.jwt.claims'::text))`,
    `(owner = (current_setting('request.jwt.claims'::text, true))::json)`,
    `(owner = (${CLAIMS} -> 'sub'::text))`,
    `(owner = (${CLAIMS} ->> 0))`,
    `(owner = (${CLAIMS} ->> 'sub'))`,
    `(owner = (${CLAIMS} ->> owner))`,
    `(owner = (${CLAIMS} ->> ''::text))`,
    `(owner = (${CLAIMS} ->> 'it''s'::text))`,
    `(owner = (${CLAIMS} ->> E's\\\\n'::text))`,
    `(owner = (${CLAIMS} ->> 's\\n'::text))`,
    `(owner = (${CLAIMS} ->> 's\u00fcb'::text))`,
    `(owner = ((${CLAIMS} -> 'app'::text) ->> 'sub'::text))`,
    ...['exp', 'iat', 'jti', 'nbf'].map(name => `(owner = (${CLAIMS} ->> '${name}'::text))`),
    ...['exp', 'iat', 'jti', 'nbf'].map(name => `((${CLAIMS} ->> '${name}'::text) = '1'::text)`),
    `(owner = ((current_setting('request.jwt.claims'::text, true))::text ->> 'sub'::text))`,
    `(owner = ((current_setting('request.jwt.claims'::text, flag))::json ->> 'sub'::text))`,
    `(owner = ((current_setting('request.jwt.claims'::text, "true"))::json ->> 'sub'::text))`,
    `(owner = ((current_setting('request.jwt.claims'::text, true, true))::json ->> 'sub'::text))`,
    `(owner = ((current_setting('request.jwt.claim.sub'::text, true))::json ->> 'sub'::text))`,
    `(owner = ((app.current_setting('request.jwt.claims'::text, true))::json ->> 'sub'::text))`,
    `(owner = ((my_setting('request.jwt.claims'::text, true))::json ->> 'sub'::text))`,
    `(owner = ((pg_catalog.current_setting('request.jwt.claims'::text, true))::json ->> 'sub'::text))`,
    `(owner = (((current_setting('request.jwt.claims'::text, true))::pg_catalog.json) ->> 'sub'::text))`,
    `(owner = ((NULLIF(current_setting('request.jwt.claims'::text, true), 'x'::text))::json ->> 'sub'::text))`,
    `(owner = ((NULLIF(''::text, current_setting('request.jwt.claims'::text, true)))::json ->> 'sub'::text))`,
    `(owner = ((NULLIF(current_setting('request.jwt.claims'::text, true)))::json ->> 'sub'::text))`,
    `(owner = ((COALESCE(current_setting('request.jwt.claims'::text, true), ''::text))::json ->> 'sub'::text))`,
    `(owner = ((COALESCE(current_setting('request.jwt.claims'::text, true), '{"sub":"ann"}'::text))::json ->> 'sub'::text))`,
    `(owner = ((COALESCE(current_setting('request.jwt.claims'::text, true), '{}'::text, '{}'::text))::json ->> 'sub'::text))`,
    `(owner = ('{"sub":"ann"}'::json ->> 'sub'::text))`,
    `(owner = ( SELECT ${SUB} FROM items))`,
    `(owner = ( SELECT ${SUB}, 1))`,
    `(EXISTS ( SELECT 1))`,
    `${'('.repeat(200)}true${')'.repeat(200)}`,
    '',
    'tru e',
    'true;',
    `true --`,
  ])('for %s', using => expect(read(using)).toBe('ask'))

  it('if one of the policies is none that the server understands', () => {
    for (const isPermissive of [true, false])
      expect(policyConditionOf(TABLE, [policy('true'), policy('flag', { isPermissive })])).toBeUndefined()
  })

  it('if a policy uses something of a user, by whatever name', () => {
    expect(policyConditionOf(TABLE, [policy(`(owner = ${SUB})`, { isBuiltIn: false })])).toBeUndefined()
  })

  it.each([
    ['has another number or type than in the images', { number: 99 }],
    ['has another type than in the images', { typeOid: 1043 }],
    ['has a collation of its own', { collation: 'pg_catalog."C"' }],
    ['is a system column', { isSystem: true }],
    ['is not in the images', { name: 'gone' }],
  ])('if a column %s', (_, more) => {
    const columns = policy('').columns.map(one => (one.name === 'owner' ? { ...one, ...more } : one))
    const { name } = { name: 'owner', ...more }
    expect(policyConditionOf(TABLE, [policy(`(${name} = ${SUB})`, { columns })])).toBeUndefined()
  })
})
