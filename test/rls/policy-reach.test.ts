import { describe, expect, it } from 'vitest'
import { isTransparent, mayReadToken } from '../../src/rls/policy-reach.js'
import { column } from '../support/watched-tables.js'

const policy = (using: string) => ({
  name: 'p',
  isPermissive: true,
  using,
  columns: [],
  isTransparent: true,
  isBuiltIn: true,
  readsTables: false,
})

describe('policies may read the claims of the token', () => {
  it.each<[boolean, string]>([
    [false, 'true'],
    [false, `(owner = ((current_setting('request.jwt.claims'::text))::json ->> 'sub'::text))`],
    [
      false,
      `(owner = ( SELECT ((current_setting('request.jwt.claims'::text, true))::jsonb ->> 'sub'::text) AS "?column?"))`,
    ],
    [
      false,
      `(owner = ((NULLIF(current_setting('request.jwt.claims'::text, true), ''::text))::json ->> 'sub'::text))`,
    ],
    [
      false,
      `(owner = ((COALESCE(current_setting('request.jwt.claims'::text, true), '{}'::text))::json ->> 'sub'::text))`,
    ],
    [
      false,
      `(org = (((current_setting('request.jwt.claims'::text, true))::jsonb -> 'app'::text) ->> 'jti'::text))`,
    ],
    [false, `(owner = current_setting('app.owner'::text, true))`],
    [true, `(owner <> ((current_setting('request.jwt.claims'::text))::json ->> 'jti'::text))`],
    [true, `(((current_setting('request.jwt.claims'::text))::json ->> 'exp'::text) IS NOT NULL)`],
    [true, `((current_setting('request.jwt.claims'::text))::jsonb ? 'jti'::text)`],
    [true, `(owner = ((current_setting('request.jwt.claims'::text))::json ->> name))`],
    [true, `(owner = current_setting('request.jwt.claims'::text))`],
    [true, `(owner = current_setting(concat('request', '.jwt.claims')))`],
    [true, `(owner = current_setting('request.jwt.claim.jti'::text, true))`],
    [true, `(owner = ((current_setting('request.jwt.claims'::text))::json #>> '{jti}'::text[]))`],
    [
      true,
      `(((current_setting('request.jwt.claims'::text))::json ->> 'sub'::text) = owner) OR (current_setting('request.jwt.claims'::text) ~ 'x'::text)`,
    ],
  ])('%s: %s', (expected, using) => {
    expect(mayReadToken([policy('true'), policy(using)], true)).toBe(expected)
  })

  it('if their text does not show everything that they read', () => {
    expect(mayReadToken([policy('true')], false)).toBe(true)
  })
})

describe('the text of policies shows everything that the policies read', () => {
  it.each<[boolean, Parameters<typeof isTransparent>]>([
    [true, [[policy('true')], [column('id', 'int4'), column('mood', 'enum', { typeOid: 20_000 })]]],
    [false, [[policy('true'), { ...policy('true'), isTransparent: false }], []]],
    [false, [[policy(`(query_to_xml('select 1'::text, true, true, ''::text) IS NOT NULL)`)], []]],
    [false, [[policy(`(EXISTS ( SELECT 1 FROM pg_settings WHERE (pg_settings.setting = 'x'::text)))`)], []]],
    [false, [[policy('true')], [column('slug', 'text', { typeOid: 20_000 })]]],
    [false, [[policy('true')], [column('mood', 'enum', { typeOid: 20_000, enumType: 'public.mood' })]]],
  ])('%s: %j', (expected, [policies, columns]) => {
    expect(isTransparent(policies, columns)).toBe(expected)
  })
})
