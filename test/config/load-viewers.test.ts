import { describe, expect, it } from 'vitest'
import { OPTION_LIST, printSettings } from '../../src/config/index.js'
import { hideSecrets } from '../../src/postgres/conninfo.js'
import { load } from '../support/settings.js'

const expected = { user: ['people', `room:\${claims.room}`, '{a;b,c}*'], 'the admin': ['*'] }

describe('channels by role', () => {
  it('are a table in the file', () => {
    const file = `[RoleChannels]\nuser = ["people", "room:\${claims.room}", "{a;b,c}*"]\n"the admin" = ["*"]\n`
    expect(load({ files: { 'listenql.toml': file } }).settings.roleChannels).toEqual(expected)
  })

  it('are one line in a flag or variable, which may be repeated', () => {
    const text = `user=people,room:\${claims.room},{a;b,c}*;the admin=*`
    expect(load({ env: { LISTENQL_ROLE_CHANNELS: text } }).settings.roleChannels).toEqual(expected)
    const argv = [
      '--role-channels',
      'user=people',
      `--role-channels=user=room:\${claims.room},{a;b,c}*;the admin=*`,
    ]
    expect(load({ argv }).settings.roleChannels).toEqual(expected)
  })

  it.each([
    [['--role-channels', 'people'], 'must be written as name=item,item'],
    [['--role-channels', 'user=a[b'], 'a bracket is not closed'],
    [['--role-channels', `user=[\${claims.x}]`], 'a claim may not be within brackets'],
    [['--channels', `\${claim.x}`], 'is not'],
  ])('are refused: %j', (argv, problem) => {
    expect(() => load({ argv })).toThrow(
      expect.objectContaining({ code: 'BAD_CONFIGURATION', message: expect.stringContaining(problem) }),
    )
  })

  it('are printed in the form in which they are read', () => {
    const loaded = load({ env: { LISTENQL_ROLE_CHANNELS: `user=a"b,\${claims.x};b c=*` } })
    const text = printSettings(loaded, [], hideSecrets)
    expect(load({ files: { 'listenql.toml': text } }).settings).toEqual(loaded.settings)
  })
})

describe('keys', () => {
  it('are never shown, neither in full nor in errors', () => {
    const env = {
      LISTENQL_JWT_SECRET: 'hunter2',
      LISTENQL_JWT_PUBLIC_KEY: 'hunter3',
      LISTENQL_JWKS_URL: 'https://x.example/keys',
    }
    const text = printSettings(load({ env }), [], hideSecrets)
    expect(text).toContain('JwtSecret = "***"')
    expect(text).not.toContain('hunter')
    expect(() => load({ env: { LISTENQL_JWKS_URL: 'https://me:hunter2@x.example/keys' } })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('hunter2') }),
    )
    expect(OPTION_LIST.filter(one => one.secret).map(one => one.key)).toEqual([
      'databaseUrl',
      'jwtSecret',
      'jwtPublicKey',
      'jwksUrl',
    ])
  })
})
