import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { load } from '../support/settings.js'

function problem(places: Parameters<typeof load>[0]): unknown {
  try {
    load(places)
  } catch (error) {
    return error
  }
  throw new Error('it was accepted')
}

function expectRefusal(places: Parameters<typeof load>[0], message: string): void {
  const error = problem(places)
  expect(error).toMatchObject({ name: 'ListenqlError', code: 'BAD_CONFIGURATION', message })
}

describe('precedence', () => {
  it('gives defaults if nothing is set', () => {
    const { settings, sources, notices, warnings } = load({})
    expect(settings).toMatchObject({
      databaseUrl: undefined,
      host: 'localhost',
      port: 7700,
      httpsPort: 7701,
      basePath: '/',
      channels: undefined,
      publish: [],
      corsOrigins: [],
      graphiql: undefined,
      maxBuffer: 16 * 2 ** 20,
      stallTimeout: 10_000,
      keepAlive: 12_000,
      logLevel: 'info',
    })
    expect(new Set(Object.values(sources))).toEqual(new Set(['default']))
    expect([notices, warnings]).toEqual([[], []])
  })

  it('is flags, LISTENQL_*, the usual names, ES_*, the file, then the defaults', () => {
    const places = [
      { take: { argv: ['--port', '1'] }, source: '--port' },
      { take: { env: { LISTENQL_PORT: '2' } }, source: 'environment variable LISTENQL_PORT' },
      { take: { env: { PORT: '3' } }, source: 'environment variable PORT' },
      { take: { env: { ES_HTTPPORT: '4' } }, source: 'environment variable ES_HTTPPORT' },
      { take: { files: { 'listenql.toml': '\nHttpPort = 5' } }, source: 'listenql.toml:2: HttpPort' },
      { take: {}, source: 'default' },
    ] as const
    fc.assert(
      fc.property(fc.subarray([...places], { minLength: 1 }), given => {
        const merged = { argv: [] as readonly string[], env: {}, files: {} }
        for (const { take } of given) {
          if ('argv' in take) merged.argv = take.argv
          if ('env' in take) merged.env = { ...merged.env, ...take.env }
          if ('files' in take) merged.files = take.files
        }
        const strongest = places.indexOf(given[0]!)
        const { settings, sources } = load(merged)
        expect(sources.port).toBe(given[0]!.source)
        expect(settings.port).toBe(strongest === 5 ? 7700 : strongest + 1)
      }),
      { numRuns: 64 },
    )
  })

  it('treats an empty variable as not set', () => {
    const { settings, warnings } = load({
      env: { LISTENQL_PORT: '', PORT: '80', DATABASE_URL: '', LISTENQL_UTTER_NONSENSE: '' },
    })
    expect(settings.port).toBe(80)
    expect(settings.databaseUrl).toBeUndefined()
    expect(warnings).toEqual([])
  })

  it('skips a variable that a flag overrides', () => {
    expect(load({ argv: ['--port=1'], env: { PORT: 'tcp://10.0.0.1:80' } }).settings.port).toBe(1)
  })
})

describe('the log level and --debug', () => {
  it.each([
    [{ argv: ['-d'] }, 'debug'],
    [{ argv: ['--debug'], env: { LOG_LEVEL: 'warn' } }, 'debug'],
    [{ argv: ['--log-level', 'warn'], env: { ES_DEBUG: 'true' } }, 'warn'],
    [{ argv: ['--debug', '--log-level=trace'] }, 'trace'],
    [{ env: { LOG_LEVEL: 'ERROR' }, files: { 'listenql.toml': 'Debug = true' } }, 'error'],
    [{ argv: ['--no-debug'], env: { ES_DEBUG: '1' } }, 'info'],
  ])('%j gives %s', (places, level) => {
    const { settings } = load(places)
    expect(settings.logLevel).toBe(level)
    expect(settings.debug).toBe(level === 'debug' || level === 'trace')
  })
})

describe('a database URL and a data directory of the embedded Postgres', () => {
  const env = { DATABASE_URL: 'postgres://u:secret@h/d' }

  it('are decided by the stronger place, with a warning', () => {
    const { settings, warnings } = load({ argv: ['--data-dir', 'here'], env })
    expect(settings).toMatchObject({ databaseUrl: undefined, dataDir: 'here' })
    expect(warnings).toEqual(['environment variable DATABASE_URL has no effect: --data-dir is given'])
  })

  it('are decided in favour of the URL if both come from the same place', () => {
    const { settings, warnings } = load({ env: { ...env, LISTENQL_DATA_DIR: 'here' } })
    expect(settings).toMatchObject({ databaseUrl: env.DATABASE_URL, dataDir: undefined })
    expect(warnings).toEqual([
      'environment variable LISTENQL_DATA_DIR has no effect: environment variable DATABASE_URL is given',
    ])
  })
})

describe('an environment variable', () => {
  it('with a list is split at white space and commas if it is ES_*, else at commas only', () => {
    const split = (env: Record<string, string>) => load({ env }).settings.channels
    expect(split({ ES_CHANNELS: ' people  orders.*,chat ' })).toEqual(['people', 'orders.*', 'chat'])
    expect(split({ LISTENQL_CHANNELS: 'my channel, {a,b}*,c\\,d' })).toEqual([
      'my channel',
      '{a,b}*',
      'c\\,d',
    ])
  })

  it('without effect causes a warning', () => {
    const env = {
      LISTENQL_HTTP_PORT: '1',
      LISTENQL_UTTER_NONSENSE: '1',
      ES_HTTPPROT: '1',
      ES_ASSETSPATH: '/x',
      ESCAPE: '1',
    }
    expect(load({ env }).warnings).toEqual([
      'environment variable ES_ASSETSPATH has no effect: the page is part of the program',
      'environment variable ES_HTTPPROT is not known and has no effect; did you mean ES_HTTPPORT?',
      'environment variable LISTENQL_HTTP_PORT is not known and has no effect; did you mean LISTENQL_PORT?',
      'environment variable LISTENQL_UTTER_NONSENSE is not known and has no effect',
    ])
  })

  it('with an invalid value is named in the error', () => {
    expectRefusal(
      { env: { ES_HTTPPORT: '77000' } },
      "environment variable ES_HTTPPORT is '77000' but must be a port, a whole number from 0 to 65535",
    )
  })
})

describe('the checks across options', () => {
  it('require a certificate and a key together', () => {
    expectRefusal(
      { argv: ['--tls-cert', 'a.crt'] },
      '--tls-cert is given, but --tls-key is not: HTTPS needs a certificate and its key',
    )
    expectRefusal(
      { env: { ES_TLSSERVERPRIVATEKEYFILE: 'a.key' } },
      'environment variable ES_TLSSERVERPRIVATEKEYFILE is given, but --tls-cert is not: HTTPS needs a certificate and its key',
    )
  })

  it('require different ports for HTTP and HTTPS, if HTTPS is on', () => {
    const tls = ['--tls-cert', 'a.crt', '--tls-key', 'a.key']
    expectRefusal(
      { argv: [...tls, '--port', '7701'] },
      '--https-port and --port are both 7701: HTTP and HTTPS need a port each',
    )
    expect(load({ argv: ['--port', '7701'] }).settings.port).toBe(7701)
    expect(load({ argv: [...tls, '--port=0', '--https-port=0'] }).settings.httpsPort).toBe(0)
  })
})
