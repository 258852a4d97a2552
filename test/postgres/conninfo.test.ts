import { writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ListenqlError } from '../../src/lib/errors.js'
import { connectionOptions, describeConnection, hideSecrets } from '../../src/postgres/conninfo.js'
import { STRAY_AT } from '../../src/postgres/conninfo-syntax.js'

const base = { host: 'h', port: 5432, user: 'u', database: 'd', ssl: false }

function refused(conninfo: string): ListenqlError {
  try {
    connectionOptions(conninfo, {})
  } catch (error) {
    if (error instanceof ListenqlError) return error
    throw error
  }
  throw new Error(`not refused: ${conninfo}`)
}

describe('a URL', () => {
  it.each([
    ['postgres://u@h/d', base],
    ['postgresql://u@h/d', base],
    ['postgres://u:p@h:6000/d', { ...base, port: 6000, password: 'p' }],
    ['postgres://u:p%40%2F%25s@h/d', { ...base, password: 'p@/%s' }],
    ['postgres://u:p@ss#1?@h/d', { ...base, password: 'p@ss#1?' }],
    ['postgres://u@[::1]:6000/d', { ...base, host: '::1', port: 6000 }],
    ['postgres://u@%2Fvar%2Frun%2Fpostgresql/d', { ...base, host: '/var/run/postgresql' }],
    ['postgres://u@/d?host=/tmp', { ...base, host: '/tmp' }],
    ['postgres:///d?user=u&host=h&port=1', { ...base, port: 1 }],
    ['postgres://u@h/d%C3%A9', { ...base, database: 'dé' }],
    ['postgres://u@h', { ...base, database: 'u' }],
    [
      'postgres://u@h/d?application_name=my%20app&connect_timeout=7',
      { ...base, application_name: 'my app', connectionTimeoutMillis: 7000 },
    ],
    ['postgres://u@h/d?ssl=true', { ...base, ssl: { rejectUnauthorized: false } }],
    ['  postgres://u@h/d?sslmode=prefer\n', base],
  ])('%s', (url, options) => {
    expect(connectionOptions(url, {})).toEqual(options)
  })
})

describe('keywords and values', () => {
  it.each([
    ['host=h dbname=d user=u', base],
    ["host = h\n dbname = 'd' user=u password='a b'", { ...base, password: 'a b' }],
    [
      String.raw`host=h dbname=d user=u password='it\'s \\'`,
      { ...base, password: String.raw`it's \ `.trim() },
    ],
    [String.raw`host=h dbname=d user=u password=a\ b`, { ...base, password: 'a b' }],
    ["host=h dbname=d user=u password=it's", { ...base, password: "it's" }],
    ["host=h dbname=d user=u password=''", base],
    ['host=h dbname=d user=u port=7 options=', { ...base, port: 7 }],
    ['hostaddr=127.0.0.1 host=h dbname=d user=u', { ...base, host: '127.0.0.1' }],
    ['host=h dbname=d user=u keepalives=0 target_session_attrs=read-write', { ...base, keepAlive: false }],
    [
      "host=h dbname=d user=u options='-c geqo=off' connect_timeout=1",
      { ...base, options: '-c geqo=off', connectionTimeoutMillis: 2000 },
    ],
  ])('%s', (text, options) => {
    expect(connectionOptions(text, {})).toEqual(options)
  })
})

it('missing parts are taken from the environment', () => {
  const env = {
    PGHOST: 'eh',
    PGPORT: '99',
    PGUSER: 'eu',
    PGPASSWORD: 'ep',
    PGDATABASE: 'ed',
    PGSSLMODE: 'require',
  }
  const all = {
    host: 'eh',
    port: 99,
    user: 'eu',
    password: 'ep',
    database: 'ed',
    ssl: { rejectUnauthorized: false },
  }
  expect(connectionOptions(undefined, env)).toEqual(all)
  expect(connectionOptions('', env)).toEqual(all)
  expect(connectionOptions('postgres://h/d?sslmode=disable', env)).toEqual({
    ...all,
    host: 'h',
    database: 'd',
    ssl: false,
  })
  const nothing = connectionOptions(undefined, {})
  expect(nothing).toMatchObject({ host: 'localhost', port: 5432, ssl: false })
  expect(nothing.database).toBe(nothing.user)
})

describe('sslmode', () => {
  let folder: string
  let ca: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'conninfo-'))
    ca = join(folder, 'ca.pem')
    writeFileSync(ca, 'a certificate')
  })
  afterAll(() => rm(folder, { recursive: true }))
  const ssl = (query: string, home = folder) =>
    connectionOptions(`postgres://u@h/d?${query}`, { HOME: home }).ssl

  it.each(['disable', 'allow', 'prefer'])('%s does not encrypt', mode =>
    expect(ssl(`sslmode=${mode}`)).toBe(false),
  )
  it('require encrypts and verifies nothing', () => {
    expect(ssl('sslmode=require')).toEqual({ rejectUnauthorized: false })
  })
  it.each(['', `&sslrootcert=/nowhere`])('no-verify, which users of pg write, verifies nothing%s', more => {
    expect(ssl(`sslmode=no-verify${more}`)).toEqual({ rejectUnauthorized: false })
  })
  it('the default files are those of libpq in the home directory', async () => {
    const home = await mkdtemp(join(folder, 'home-'))
    await mkdir(join(home, '.postgresql'))
    const write = (name: string) => writeFileSync(join(home, '.postgresql', name), name)
    write('postgresql.key')
    expect(ssl('sslmode=require', home)).toEqual({ rejectUnauthorized: false })
    write('postgresql.crt')
    const own = { cert: 'postgresql.crt', key: 'postgresql.key' }
    expect(ssl('sslmode=require', home)).toEqual({ ...own, rejectUnauthorized: false })
    write('root.crt')
    expect(ssl('sslmode=require', home)).toMatchObject({ ...own, ca: 'root.crt', rejectUnauthorized: true })
    expect(ssl('sslmode=verify-full', home)).toEqual({ ...own, ca: 'root.crt', rejectUnauthorized: true })
    expect(ssl('sslmode=no-verify', home)).toEqual({ ...own, rejectUnauthorized: false })
    expect(ssl('sslmode=prefer', home)).toBe(false)
  })
  it('ssl_min_protocol_version and ssl_max_protocol_version bound the version of TLS', () => {
    expect(ssl('sslmode=require&ssl_min_protocol_version=tlsv1.3&ssl_max_protocol_version=TLSv1.3')).toEqual({
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      rejectUnauthorized: false,
    })
  })
  it('verify-full verifies certificate and name', () => {
    expect(ssl(`sslmode=verify-full&sslrootcert=${ca}`)).toEqual({
      ca: 'a certificate',
      rejectUnauthorized: true,
    })
    expect(ssl('sslmode=verify-full&sslrootcert=system')).toEqual({ rejectUnauthorized: true })
  })
  it.each(['verify-ca', 'require'])(
    '%s with a root certificate verifies the certificate but not the name',
    mode => {
      const options = ssl(`sslmode=${mode}&sslrootcert=${ca}`)
      expect(options).toMatchObject({ ca: 'a certificate', rejectUnauthorized: true })
      expect(
        typeof options === 'object' && options.checkServerIdentity?.('other', {} as never),
      ).toBeUndefined()
    },
  )
  it('a connection to hostaddr verifies the name of the host', () => {
    const options = connectionOptions(
      `hostaddr=10.0.0.1 host=db sslmode=verify-full sslrootcert=${ca} user=u`,
      {},
    )
    expect(options).toMatchObject({ host: '10.0.0.1', ssl: { servername: 'db' } })
  })
})

describe('an invalid connection string is refused', () => {
  it.each([
    ['postgres://u:s3cret%zz@h/d', '%25'],
    ['postgres://u:s3cret@h:port/d', "'port' is not a port"],
    ['postgres://u:s3cret@h:0/d', "'0' is not a port"],
    ['postgres://u:s3cret@h/d?nonsense=1', "'nonsense' is not supported"],
    ['postgres://u:s3cret@h/d?nonsense', 'name=value'],
    ['postgres://u:s3cret@h,i/d', 'several hosts'],
    ['postgres://u:s3cret@h/d?sslmode=always', "sslmode 'always'"],
    ['postgres://u:s3cret@h/d?sslmode=require&ssl_min_protocol_version=3', "ssl_min_protocol_version '3'"],
    ['postgres://u:s3cret@h/d?sslmode=verify-full&sslrootcert=/nowhere/ca', '/nowhere/ca'],
    ['postgres://u:s3cret@h/d?sslmode=verify-ca&sslrootcert=system', 'verify-full'],
    ['postgres://u:s3cret@h/d?gssencmode=require', 'gssencmode=require is not supported'],
    ['postgres://u:s3cret@h/d?connect_timeout=soon', 'connect_timeout'],
    ['mysql://u:s3cret@h/d', 'keyword=value'],
    ['just words s3cret', 'keyword=value'],
    ["host=h password='s3cret", 'password is not closed'],
    ['host=h password=two words', 'keyword=value'],
    ['service=x password=s3cret', "'service' is not supported"],
    ['postgres://u:s3cret/x@h/d', '%2F'],
    ['postgres://u:p@s3cret/x@h/d', '%2F'],
    ['postgres://u:5/s3cret@h/d', '%2F'],
    ['postgres://u:p/x?s3cret@h/d', '%3F'],
    ['postgres://u:p/x?s3cret=1@h/d', '%3F'],
    ['postgres://u:s3cret/x?user=1@h/d', '%3F'],
  ])('%s', (conninfo, part) => {
    const error = refused(conninfo)
    expect(error.code).toBe('BAD_CONFIGURATION')
    expect(error.message).toContain(part)
    expect(error.hint).toBeTruthy()
    expect(`${error.message} ${error.hint}`).not.toContain('s3cret')
  })
})

it('a password that is not percent-encoded is taken as it is, or refused without showing a part of it', () => {
  const character = fc.constantFrom(...'aXz19@:/?#&=[]+')
  fc.assert(
    fc.property(fc.string({ unit: character, minLength: 1, maxLength: 12 }), password => {
      const url = `postgres://u:${password}@h/d`
      let shown: string
      try {
        const options = connectionOptions(url, {})
        expect(options).toMatchObject({ host: 'h', user: 'u', database: 'd', password })
        shown = describeConnection(options)
      } catch (error) {
        if (!(error instanceof ListenqlError)) throw error
        shown = error.message.replace(STRAY_AT, '')
      }
      for (let at = 0; at + 3 <= password.length; at++)
        expect(shown).not.toContain(password.slice(at, at + 3))
    }),
    { numRuns: 3000 },
  )
})

it('a parameter may contain an @', () => {
  expect(connectionOptions('postgres://h/d?application_name=a@b', {})).toMatchObject({
    host: 'h',
    application_name: 'a@b',
  })
})

it('passwords are hidden', () => {
  expect(hideSecrets('connect to postgres://u:p@h/d now')).toBe('connect to postgres://u:***@h/d now')
  expect(hideSecrets('postgresql://u:a@b/c@h/d')).toBe('postgresql://u:***@h/d')
  expect(hideSecrets('postgres://u@h/d?password=p&user=x')).toBe('postgres://u@h/d?password=***&user=x')
  expect(hideSecrets(String.raw`host=h password='a \' b' user=u`)).toBe('host=h password=*** user=u')
  expect(hideSecrets('host=h password = a\\ b user=u')).toBe('host=h password = *** user=u')
  expect(hideSecrets('postgres://h:5432/d')).toBe('postgres://h:5432/d')
})

it('a description names host, port, user and database', () => {
  expect(describeConnection(connectionOptions('postgres://u:p@h:1/d', {}))).toBe("'u' to 'd' @ 'h:1'")
  expect(describeConnection(connectionOptions('postgres://u:p@[::1]/d', {}))).toBe(
    "'u' to 'd' @ '[::1]:5432'",
  )
})
