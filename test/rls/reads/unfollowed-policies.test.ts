import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { connectionOptions } from '../../../src/postgres/conninfo.js'
import { findUnfollowedPolicies } from '../../../src/rls/reads/unfollowed-policies.js'
import { createTableAccess } from '../../../src/rls/table-access.js'
import { runCli } from '../../support/cli.js'
import { createLog, type TestLog } from '../../support/log.js'
import { createRoles, type TestRoles } from '../../support/viewer-roles.js'

let log: TestLog
let roles: TestRoles
beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  await log.query(`create table notes (id int primary key, org int);
    create table members (org int, person text);
    create function is_member(o int) returns boolean language plpgsql stable as
      $$ begin return exists (select from members m where m.org = o); end $$;
    alter table notes enable row level security;
    grant select on notes to ${roles.user}, ${roles.anonymous}; grant select on members to ${roles.user}`)
  await log.watch('notes')
})
afterAll(async () => {
  await roles.drop()
  await log.close()
})
beforeEach(async () => {
  await log.query('drop policy if exists p on notes; drop policy if exists q on notes')
})

const found = async () => {
  const client = await log.connect()
  return (await findUnfollowedPolicies(async (text, values) => (await client.query(text, values)).rows)).map(
    ({ message, hint, code }) => ({ message, hint, code }),
  )
}
const NOT_WATCHED = {
  code: 'POLICY_NOT_WATCHED',
  message:
    'the policy p of table notes reads table members, which is not watched: a live query could not follow it',
  hint: 'run listenql watch members, or let the server read again with --live-refresh',
}

it('finds nothing where policies read the claims, or the table itself', async () => {
  await log.query(
    `create policy p on notes using (org = (current_setting('request.jwt.claims')::json ->> 'org')::int)`,
  )
  expect(await found()).toEqual([])
})

it('finds tables that are not watched, once for all roles', async () => {
  await log.query('create policy p on notes using (org in (select org from members))')
  expect(await found()).toEqual([NOT_WATCHED])
  await log.watch('members')
  expect(await found()).toEqual([])
  await log.query(`select listenql.unwatch('members')`)
})

it('finds functions that do not show what they read, until a comment declares it', async () => {
  await log.query(`create policy q on notes to ${roles.user} using (is_member(org))`)
  expect(await found()).toMatchObject([
    {
      message: expect.stringContaining(
        'the policy q of table notes uses the function public.is_member(o integer), which is written in plpgsql',
      ),
    },
  ])
  await log.query(`comment on function is_member(int) is '@listenql reads nothing'`)
  expect(await found()).toEqual([])
})

it('looks at policies of roles that may read the table only', async () => {
  await log.query(`create policy p on notes to ${roles.user} using (org in (select org from members));
    revoke select on notes from ${roles.user}`)
  expect(await found()).toEqual([])
  await log.query(`grant select on notes to ${roles.user}`)
  expect(await found()).toEqual([NOT_WATCHED])
})

it('is a warning of listenql status', async () => {
  await log.query('create policy p on notes using (org in (select org from members))')
  const { stdout } = await runCli(['status'], { env: { DATABASE_URL: log.database.url } })
  expect(stdout).toContain(
    '! The policy p of table notes reads table members, which is not watched: a live query could not follow it; run listenql watch members, or let the server read again with --live-refresh\n',
  )
})

it('is reported by a server once', async () => {
  await log.query('create policy p on notes using (org in (select org from members))')
  const observed: object[] = []
  const access = createTableAccess({
    config: connectionOptions(log.database.url),
    connectTimeout: 5000,
    reconnectMax: 1000,
    catalogInterval: 1000,
    observe: observation => observed.push(observation),
  })
  await access.reportUnfollowed()
  await access.reportUnfollowed()
  const { message, hint } = NOT_WATCHED
  expect(observed).toEqual([{ type: 'policy.unfollowed', message, hint }])
  await access.close()
})
