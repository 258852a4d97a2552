import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Viewer, viewerKey } from '../../src/auth/viewer.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import type { RowImage } from '../../src/filters/index.js'
import { ListenqlError } from '../../src/lib/errors.js'
import { ExactNumber } from '../../src/lib/json/exact-json.js'
import { claimsText, takeClaimsSql, takeRoleSql } from '../../src/rls/become.js'
import { planPolicies } from '../../src/rls/policy-sql.js'
import { PRINT_SETTINGS, RIGHTS, type RowRights } from '../../src/rls/privileges.js'
import { createSecured, type Secured } from '../support/secured.js'
import { viewerOf } from '../support/viewers.js'

let secured: Secured
let table: WatchedTable
let images: RowImage[]
let roles: string[]

const A = 'f47ac10b-58cc-4372-a567-0e02b2c3d479'
const B = '00000000-0000-0000-0000-000000000001'
const TEXTS = ['ann', 'ANN', 'ann ', ' ann', '', 'e\u0301', '\u00e9', '\u{1d4b3}', `o'neil`, 'a"b', 'a\\b', 'a\nb', '1', '01', '-1', '0', '32767', '2147483647', A, A.toUpperCase(), B, 'true', 'null'] // biome-ignore format: a list
const NUMBERS = ['0', '1', '-1', '32767', '-32768']
const LARGE = [...NUMBERS, '2147483647', '-2147483648']
const HUGE = [...LARGE, '2147483648', '9007199254740993', '9223372036854775807', '-9223372036854775808']

const COLUMNS = `id int primary key, owner text, vc varchar(60), "Own er" text, "true" text, ch char(6), nm name, dom app.text_domain, cc text collate "C",
  team int2, n int4, big int8, num numeric, uid uuid, mood app.mood, nd text collate app.nd, arr text[], flag bool`

beforeAll(async () => {
  secured = await createSecured()
  const { admin, watched } = secured
  roles = [await secured.roles.add('one'), await secured.roles.add('two')]
  await admin(`create schema app; grant usage on schema app to public; create domain app.text_domain as text; create type app.mood as enum ('ann', '1');
    create collation app.nd (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create function app.same(text, text) returns bool language sql immutable as $$ select $1 is not null and $2 is not null $$;
    create operator app.== (leftarg = text, rightarg = text, procedure = app.same);
    create function app.current_setting(text, bool) returns text language sql immutable as $$ select '{"sub": "ann", "n": "1"}' $$`)
  table = await secured.table('items', COLUMNS, roles)
  await admin(`alter role ${roles[1]} set search_path = app, pg_catalog, public`)
  const literal = (text: string | undefined) =>
    text === undefined ? 'null' : `'${text.replaceAll(`'`, `''`)}'`
  const rows = TEXTS.map((text, i) => {
    const at = (values: readonly string[]) => literal(values[i % (values.length + 1)])
    const short = text.length > 6 ? 'null' : literal(text)
    const uid = at([A, B])
    return `(${i}, ${literal(text)}, ${literal(text)}, ${at(TEXTS.slice(3))}, ${at(['ann', '1'])}, ${short}, ${literal(text)}, ${literal(text)}, ${literal(text)},
      ${at(NUMBERS)}, ${at(LARGE)}, ${at(HUGE)}, ${at(HUGE)}, ${uid}, ${at(['ann', '1'])}, ${literal(text)}, array[${literal(text)}], ${i % 2 === 0})`
  })
  images = await secured.written(
    table,
    `insert into items values ${rows.join(', ')}; insert into items values (100)`,
  )
  await watched.client.query(`set timezone = 'UTC'`)
})
afterAll(() => secured?.close())

/** Mostly one of the first, which the server decides about; sometimes one of the second. */
const mostly = <T>(usual: fc.Arbitrary<T>, odd: fc.Arbitrary<T>, weight = 12): fc.Arbitrary<T> =>
  fc.oneof({ weight, arbitrary: usual }, { weight: 1, arbitrary: odd })

const setting = mostly(
  fc.constantFrom(
    `current_setting('request.jwt.claims')`,
    `current_setting('request.jwt.claims', true)`,
    `nullif(current_setting('request.jwt.claims', true), '')`,
    `coalesce(current_setting('request.jwt.claims', false), '{}')`,
    `(select current_setting('request.jwt.claims'))`,
  ),
  fc.constantFrom(
    `nullif(current_setting('request.jwt.claims', true), '{"sub":"ann"}')`,
    `coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{"sub": "ann"}')`,
    `coalesce(current_setting('request.jwt.other', true), '{"sub": "ann"}')`,
    `app.current_setting('request.jwt.claims', true)`,
    `'{"sub": "ann", "n": "1"}'`,
  ),
)
const textOf = (...names: readonly string[]) =>
  fc
    .tuple(
      setting,
      fc.constantFrom('json', 'jsonb'),
      mostly(fc.constant('->>'), fc.constant('#>>'), 20),
      mostly(fc.constantFrom(...names), fc.constantFrom('iat', `it''s`, 'none', 'sub', 'n', 'u'), 8),
    )
    .map(([of, type, arrow, key]) => `(${of}::${type} ${arrow} '${arrow === '->>' ? key : `{${key}}`}')`)
const selected = (of: fc.Arbitrary<string>) =>
  fc.tuple(of, fc.boolean()).map(([sql, isSelected]) => (isSelected ? `(select ${sql})` : sql))
const cast = (names: readonly string[], ...types: readonly string[]) =>
  selected(
    fc
      .tuple(selected(textOf(...names)), mostly(fc.constantFrom(...types), fc.constantFrom('numeric', 'varchar', 'char(6)', 'name', 'app.text_domain', 'app.mood', 'bool', 'uuid', 'text')))
      .map(([sql, type]) => `${sql}::${type}`),
  ) // biome-ignore format: a list
const claim = selected(textOf('sub', 'sub', 'Own er', 'https://a.b/c'))
const textColumn = mostly(
  fc.constantFrom('owner', 'owner', 'vc', '"Own er"', '"true"'),
  fc.constantFrom('cc', 'ch', 'ch::text', 'nm', 'nm::text', 'dom', 'nd', 'num::text', 'mood::text', 'flag::text', 'lower(owner)', 'arr[1]', 'owner collate "C"', 'owner collate app.nd', 'ch::varchar', 'left(vc, 3)'),
  6,
) // biome-ignore format: lists
const equals = mostly(
  fc.constant('='),
  fc.constantFrom('<>', 'is not distinct from', '>=', 'operator(app.==)'),
)
const either = (...[a, op, b]: [fc.Arbitrary<string>, fc.Arbitrary<string>, fc.Arbitrary<string>]) =>
  fc
    .tuple(a, op, b, fc.boolean())
    .map(([left, sign, right, isSwapped]) =>
      isSwapped ? `${right} ${sign} ${left}` : `${left} ${sign} ${right}`,
    )
const leaf = fc.oneof(
  { weight: 6, arbitrary: either(textColumn, equals, claim) },
  { weight: 2, arbitrary: either(fc.constantFrom('n::text', 'team::text', 'big::text'), equals, selected(textOf('n'))) },
  { weight: 2, arbitrary: either(fc.constant('uid::text'), equals, selected(textOf('u'))) },
  { weight: 3, arbitrary: either(mostly(fc.constantFrom('n', 'team', 'big'), fc.constant('num')), mostly(fc.constant('='), fc.constantFrom('<>', '<')), cast(['n'], 'int', 'bigint', 'smallint')) },
  { weight: 2, arbitrary: either(fc.constant('uid'), fc.constant('='), cast(['u'], 'uuid')) },
  { weight: 1, arbitrary: either(fc.constantFrom('owner', 'vc', 'ch', 'nm', 'dom', 'mood', 'flag', 'n').map(column => `${column}::text`), fc.constant('='), cast(['n', 'sub'], 'text', 'varchar', 'int').map(sql => `(${sql})::text`)) },
  { weight: 2, arbitrary: either(claim, fc.constant('='), fc.constantFrom(`'ann'`, `'ann'`, `'1'`, `''`, `E'a\\\\b'`, `'a"b'`)) },
  { weight: 2, arbitrary: mostly(fc.constantFrom('true', 'false'), fc.constantFrom('null::bool', 'flag', 'owner is null', 'id < 8', `owner = 'ann'`), 3) },
) // biome-ignore format: one for each form
const condition: fc.Arbitrary<string> = fc.letrec<{ all: string }>(tie => ({
  all: fc.oneof(
    { weight: 12, arbitrary: leaf },
    {
      weight: 4,
      arbitrary: fc
        .tuple(tie('all'), fc.constantFrom('and', 'or', 'or'), tie('all'))
        .map(([a, op, b]) => `(${a} ${op} ${b})`),
    },
    { weight: 1, arbitrary: tie('all').map(a => `not (${a})`) },
  ),
})).all
const policies = fc
  .tuple(
    fc.record({
      isPermissive: fc.constant(true),
      command: fc.constantFrom('all', 'select'),
      to: fc.constant('public'),
      using: condition,
    }),
    fc.array(
      fc.record({
        isPermissive: fc.boolean(),
        command: fc.constantFrom('all', 'select', 'select', 'update'),
        to: fc.constantFrom('public', 'public', 'ROLE0'),
        using: condition,
      }),
      { maxLength: 2 },
    ),
  )
  .map(([first, more]) => (more.length > 0 && first.using === 'false' ? more : [first, ...more]))

const odd: fc.Arbitrary<unknown> = fc.constantFrom('+1', ' 1', '1 ', '1.0', '00', '-0', '1e1', '0x1', '1_0', '9223372036854775808', `{${A}}`, A.replaceAll('-', ''), 'ann\0', '\ud800', 'ann\udc00', 1, 0, -1, -0, 1.5, 1e21, 32767, 9007199254740991, new ExactNumber('1.0'), new ExactNumber('9007199254740993'), true, false, null, undefined, {}, [], ['ann'], { a: 'ann' }) // biome-ignore format: a list
const value = (...usual: readonly unknown[]) => mostly(fc.constantFrom(...usual), odd)
const claims = fc
  .record({
    sub: value(...TEXTS, 'ann', 'ann'),
    n: value(...HUGE, 0, 1, -1, 32767),
    u: value(A, A.toUpperCase(), B),
    'Own er': value('ann', '', '1'),
    'https://a.b/c': value('ann', 'ANN'),
    more: mostly(fc.constantFrom<object>({}, { x: 'e\u00e9' }, { x: 1e21, y: [1, [2, { y: null }]] }), fc.constantFrom<object>({ x: new ExactNumber('1e400') }, { x: ['\0'] }, { x: { '\ud800': 1 } }, { x: new ExactNumber('1e-20000') }), 20),
    iat: fc.constantFrom(undefined, 1),
  })
  .map(({ more, ...own }) => Object.fromEntries(Object.entries({ ...own, ...more }).filter(([, one]) => one !== undefined))) // biome-ignore format: long

const scene = fc.record({
  policies,
  viewers: fc.array(fc.tuple(fc.nat(1), claims), { minLength: 4, maxLength: 7 }),
})

/** The ids of the rows that `select` shows to the viewer; undefined: it fails. */
async function selectedBy(viewer: Viewer): Promise<number[] | undefined> {
  const { client } = secured.watched
  await client.query('begin')
  try {
    await client.query(`${takeRoleSql(viewer.role as string)}; ${takeClaimsSql(claimsText(viewer))}`)
    const { rows } = await client.query<{ id: number }>('select id from public.items order by id')
    return rows.map(({ id }) => id)
  } catch {
    return undefined
  } finally {
    await client.query('rollback')
  }
}

/** The rights as a server reads them. */
async function rightsOf(role: string): Promise<RowRights> {
  const { client } = secured.watched
  await client.query('begin')
  try {
    const path = role === roles[1] ? '; set local search_path = app, pg_catalog, public' : ''
    await client.query(`${takeRoleSql(role)}${path}; ${PRINT_SETTINGS}`)
    const { rows } = await client.query<{ rights: string }>(RIGHTS, [[table.relid], [role]])
    return JSON.parse(rows[0]?.rights as string) as RowRights
  } finally {
    await client.query('rollback')
  }
}

it('the server decides about rows as select does, or asks the database', async () => {
  const { admin } = secured
  const access = secured.start()
  const counts = { decided: 0, shown: 0, hidden: 0, left: 0, failed: 0 }
  await fc.assert(
    fc.asyncProperty(scene, async ({ policies: list, viewers }) => {
      const names = list.map((_, i) => `p${i}`)
      try {
        await admin(
          list.map(({ isPermissive, command, to, using }, i) =>
              `create policy ${names[i]} on items as ${isPermissive ? 'permissive' : 'restrictive'} for ${command} to ${to.replace('ROLE0', roles[0] as string)} using (${using})`,
          ).join('; '),
        ) // biome-ignore format: one statement
      } catch {
        return // such a policy does not exist
      }
      try {
        const all = viewers.map(([role, own]) => ({
          ...viewerOf(roles[role] as string, own),
          seesToken: true,
        }))
        const verdicts = await access.sees(table, all, images)
        for (const viewer of all) {
          const plan = planPolicies(table, await rightsOf(viewer.role as string))
          const decides = plan.kind === 'asked' ? plan.condition?.of(claimsText(viewer)) : undefined
          const wanted = await selectedBy(viewer)
          const found = verdicts.get(viewerKey(viewer, true))
          // Where `select` fails, the database may still answer the server, since it evaluates policies on images in another order.
          if (found instanceof ListenqlError) expect(decides).toBeUndefined()
          else if (decides || wanted)
            expect(images.filter((_, i) => found?.[i]).map(image => image.get('id'))).toEqual(wanted)
          if (!decides) {
            if (wanted === undefined) counts.failed++
            else if (plan.kind === 'asked') counts.left++
            continue
          }
          expect(images.filter(decides.sees).map(image => image.get('id'))).toEqual(wanted)
          counts.decided++
          counts.shown += wanted?.length ?? 0
          counts.hidden += images.length - (wanted?.length ?? 0)
        }
      } finally {
        await admin(names.map(one => `drop policy if exists ${one} on items`).join('; '))
      }
    }),
    { numRuns: Number(process.env.LISTENQL_TEST_FILTER_ROUNDS ?? 100), endOnFailure: true },
  )
  // The test would prove nothing if one side were always alone.
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(10)
}, 240_000)
