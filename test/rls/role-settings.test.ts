import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Viewer } from '../../src/auth/viewer.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { EVERYTHING, type Filter, parseFilter, type RowImage } from '../../src/filters/index.js'
import type { RowAccess } from '../../src/rls/row-access.js'
import { createSnapshots, type Snapshots } from '../../src/snapshots/snapshots.js'
import { PLAIN } from '../support/cursors.js'
import { createSecured, type Secured, seenBy } from '../support/secured.js'
import { viewerOf } from '../support/viewers.js'

let secured: Secured
let role: string
let database: string
let table: WatchedTable
let images: RowImage[]
let access: RowAccess
let snapshots: Snapshots

const admin = (sql: string) => secured.admin(sql)
const COLUMNS = ['id', 'i', 'd', 't', 'f', 'b', 'r', 'm']

beforeAll(async () => {
  secured = await createSecured()
  database = secured.watched.log.database.name
  role = await secured.roles.add('viewer', `login password 'secret'`)
  table = await secured.table(
    'moments',
    'id int primary key, i interval, d date, t timestamptz, f float8, b bytea, r tstzrange, m money',
    [role],
  )
  await admin(`set check_function_bodies = off; create schema app; grant usage on schema app to ${role}, ${secured.watched.server.name};
    create table app.members (id int); insert into app.members values (2), (3); grant select on app.members to ${role};
    create function app.is_member(int) returns boolean language sql stable as 'select exists (select from members m where m.id = $1)';
    create function app.most_of() returns int language plpgsql immutable as $$ begin return current_setting('app.most'); end $$; reset check_function_bodies`)
  images = await secured.written(
    table,
    `insert into moments values
      (1, '1 mon -1 days', '2024-03-01', '2024-03-01 23:30+00', 0.30000000000000004, '\\xff00', '[2024-01-01 00:00+00,2024-06-01 00:00+00)', '12.34'),
      (2, '-1 days', '2024-03-01', '2024-02-29 10:00+00', 0.3, '\\x61', 'empty', null),
      (3, '1 year 2 mons -3 days 04:05:06', '0044-03-15 BC', 'infinity', 'NaN', '', null, '-1')`,
  )
  access = secured.start({ connections: 1 })
  snapshots = createSnapshots({
    config: secured.watched.server.config,
    cursors: PLAIN,
    connectTimeout: 5000,
    queryTimeout: 5000,
  })
})
afterAll(async () => {
  await snapshots?.close()
  await secured?.close()
})

/** Returns the rows that the role sees in a login session of its own. */
async function shownAtLogin(): Promise<unknown[]> {
  const url = new URL(secured.watched.log.database.url)
  url.username = role
  url.password = 'secret'
  const client = new pg.Client({ connectionString: url.href })
  await client.connect()
  try {
    await client.query(`set request.jwt.claims = '{"sub": "a"}'`)
    return (await client.query('select id from public.moments order by id')).rows.map(({ id }) => id)
  } finally {
    await client.end()
  }
}

async function read(viewer: Viewer, filter: Filter = EVERYTHING): Promise<readonly RowImage[]> {
  const snapshot = await snapshots.snapshot(table, {
    filter,
    orderBy: [{ column: 'r', direction: 'DESC_NULLS_LAST' }],
    limit: 100,
    offset: 0,
    viewer,
  })
  return snapshot.rows
}

const written = (rows: readonly RowImage[]) => rows.map(row => COLUMNS.map(name => row.json(name))).sort()

const ROLE = 'alter role ROLE set'
const IN = 'alter role ROLE in database DATABASE set'
const ALL = 'alter database DATABASE set'

describe('policies run under the settings of the role, as in a login session of the role', () => {
  it.each<readonly [settings: readonly string[], using: string, shown: number[]]>([
    [[], `i::text = '1 mon -1 days'`, [1]],
    [[], `i::text = 'P1M-1D'`, []],
    [[`${ROLE} intervalstyle = 'iso_8601'`], `i::text = 'P1M-1D'`, [1]],
    [
      [`${ROLE} intervalstyle = 'sql_standard'`],
      `i = interval '1 mon -1 days' or i::text = '-1 0:00:00'`,
      [1, 2],
    ],
    [[`${ROLE} timezone = 'Europe/Berlin'`], 't::date = d', []],
    [[`${ROLE} timezone = 'America/New_York'`], `t::date = d or t::date = date '2024-02-29'`, [1, 2]],
    [[`${ROLE} datestyle = 'SQL, DMY'`], `d::text = '01/03/2024' or d < '01/01/0001'`, [1, 2, 3]],
    [[`${ROLE} datestyle = 'German'`], `r && tstzrange('2024-05-31 00:00+00', null)`, [1]],
    [[`${ROLE} bytea_output = 'escape'`], `b::text in ('a', '')`, [2, 3]],
    [[`${ROLE} extra_float_digits = 0`], `f::text = '0.3'`, [1, 2]],
    [[`${IN} search_path = app, public`], 'app.is_member(id)', [2, 3]],
    [[`${ALL} search_path = 'app'`], 'app.is_member(id)', [2, 3]],
    [[`${ALL} app.most = 1`], 'id <= app.most_of()', [1]],
    [[`${ALL} app.most = 1`, `${ROLE} app.most = 2`], 'id <= app.most_of()', [1, 2]],
    [[`${ROLE} app.most = 2`, `${IN} app.most = 3`], 'id <= app.most_of()', [1, 2, 3]],
    [[`${ROLE} app.most = 'it''s "1"'`], `length(current_setting('app.most')) + id = 10`, [2]],
    [
      [`${ROLE} log_min_messages = 'panic'`, `${ROLE} role = 'none'`, `${ROLE} row_security = off`],
      'id = 1',
      [1],
    ],
    [
      [`${ROLE} statement_timeout = 1`, `${ROLE} xmloption = document`],
      'id = 1 and pg_sleep(0.01) is not null',
      [1],
    ],
  ])('%j: %s', async (settings, using, expected) => {
    const named = (sql: string) => sql.replaceAll('ROLE', role).replaceAll('DATABASE', database)
    await admin(`drop policy if exists p on moments; create policy p on moments using (${using})`)
    for (const sql of settings) await admin(named(sql))
    try {
      // With these settings, a session of the role itself fails, so there is nothing to compare.
      if (!settings.some(sql => /row_security|statement_timeout/.test(sql)))
        expect(await shownAtLogin()).toEqual(expected)
      const viewer = viewerOf(role, { sub: 'a' })
      for (let round = 0; round < 2; round++) {
        expect(await seenBy(access, table, [viewer], images)).toEqual([expected])
        const mine = images.filter(image => expected.includes(image.get('id') as number))
        // The log formats rows independently of these settings, and filters compare with the log.
        expect(written(await read(viewer))).toEqual(written(mine))
        const filter = parseFilter(new Map(table.columns.map(column => [column.name, column])), {
          or: [{ r: { eq: images[0]?.get('r') } }, { m: { eq: '-$1.00' } }, { i: { eq: 'P-1D' } }],
        })
        expect(written(await read(viewer, filter))).toEqual(written(mine))
      }
    } finally {
      await admin(
        named(
          'alter role ROLE reset all; alter role ROLE in database DATABASE reset all; alter database DATABASE reset all',
        ),
      )
    }
  })
})
