import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FILE_PLACES } from '../../src/config/file.js'
import { load } from '../support/settings.js'

const file = (content: string) => ({ files: { 'listenql.toml': content } })

function messageFor(content: string): string {
  try {
    load(file(content))
  } catch (error) {
    expect(error).toMatchObject({ name: 'ListenqlError', code: 'BAD_CONFIGURATION' })
    return (error as Error).message
  }
  throw new Error('it was accepted')
}

describe('the search for the file', () => {
  it('takes the first place that has a file', () => {
    for (let first = 0; first < FILE_PLACES.length; first++) {
      const files = Object.fromEntries(
        FILE_PLACES.slice(first).map((place, i) => [place, `HttpPort = ${first + i + 1}`]),
      )
      const { settings, notices } = load({ files })
      expect(settings.port).toBe(first + 1)
      expect(notices).toHaveLength(1)
      expect(notices[0]).toMatch(/^using the configuration file \/.*\.toml$/)
      expect(notices[0]).toContain(join('/', FILE_PLACES[first]!))
    }
  })

  it('takes the file of --config, then of LISTENQL_CONFIG, instead of all other places', () => {
    const files = { 'a.toml': 'HttpPort = 1', 'b/b.toml': 'HttpPort = 2', 'listenql.toml': 'HttpPort = 3' }
    const env = { LISTENQL_CONFIG: 'b/b.toml' }
    expect(load({ files, env, argv: ['-c', 'a.toml'] }).settings.port).toBe(1)
    expect(load({ files, env }).sources.port).toBe('b/b.toml:1: HttpPort')
    expect(load({ files, env }).warnings).toEqual([])
    expect(load({ files }).settings.port).toBe(3)
  })

  it('refuses a named file that does not exist', () => {
    expect(() => load({ argv: ['--config=no.toml'] })).toThrow(
      'the configuration file no.toml does not exist',
    )
    expect(() => load({ files: { 'd/x': '' }, argv: ['--config', 'd'] })).toThrow(
      /file d cannot be read: EISDIR/,
    )
  })
})

describe('the file', () => {
  it('has keys in any case, and values as TOML or as text', () => {
    const { settings } = load(
      file(`
        httpport = "8000"
        CORSORIGINS = ["https://*.example.com", "null"]
        Channels = "a, b"
        debug = "false"
        MaxBuffer = 1048576
        StallTimeout = "2m"
        BasePath = "events/"
        UrlBase = "https://example.com/"
      `),
    )
    expect(settings).toMatchObject({
      port: 8000,
      corsOrigins: ['https://*.example.com', 'null'],
      channels: ['a', 'b'],
      debug: false,
      maxBuffer: 1_048_576,
      stallTimeout: 120_000,
      basePath: '/events',
      urlBase: 'https://example.com',
    })
  })

  it('may be a file of pg_eventserv; keys without effect cause a warning', () => {
    const { settings, warnings } = load({
      files: {
        'config/pg_eventserv.toml': `
          DbConnection = "postgresql://u:p@h/d"
          DbPoolMaxConnLifeTime = "1h"
          DbPoolMaxConns = 4
          AssetsPath = "/usr/share/pg_eventserv/assets"
          HttpHost = "0.0.0.0"
          HttpPort = 7700
          HttpsPort = 7701
          TlsServerCertificateFile = "server.crt"
          TlsServerPrivateKeyFile = "server.key"
          UrlBase = "http://localhost/"
          BasePath = "/"
          CORSOrigins = ["*"]
          Channels = ["*"]
          Debug = false`,
      },
    })
    expect(settings).toMatchObject({
      databaseUrl: 'postgresql://u:p@h/d',
      host: '0.0.0.0',
      corsOrigins: ['*'],
    })
    expect(warnings.map(line => line.split(' has no effect')[0])).toEqual([
      'config/pg_eventserv.toml:3: DbPoolMaxConnLifeTime',
      'config/pg_eventserv.toml:4: DbPoolMaxConns',
      'config/pg_eventserv.toml:5: AssetsPath',
    ])
  })

  it.each([
    ['\nHttpPrt = 1', 'listenql.toml:2: HttpPrt is not a known key; did you mean HttpPort?'],
    ['max_buffer = 1', 'listenql.toml:1: max_buffer is not a known key; did you mean MaxBuffer?'],
    [
      'tls-cert = "x"',
      'listenql.toml:1: tls-cert is not a known key; did you mean TlsServerCertificateFile?',
    ],
    ['# a\n[Server]\nHttpPort = 1', 'listenql.toml:2: Server is not a known key'],
    [
      'Channels = ["a"]\nCHANNELS = []',
      'listenql.toml:2: CHANNELS is set twice; the first is listenql.toml:1: Channels',
    ],
    ['HttpPort = 1.5', 'listenql.toml:1: HttpPort is 1.5 but must be a port, a whole number from 0 to 65535'],
    ['HttpHost = true', 'listenql.toml:1: HttpHost is true but must be a text'],
    ['Debug = 1', 'listenql.toml:1: Debug is 1 but must be true or false'],
    [
      'MaxEvent = 0',
      'listenql.toml:1: MaxEvent is 0 but must be a number of bytes from 1 on, such as 1048576, 512KiB, 16MiB or 8MB',
    ],
    [
      'KeepAlive = 12',
      'listenql.toml:1: KeepAlive is 12 but must have a unit: 12ms, 12s, 12m or 12h, in quotes',
    ],
    [
      'LogLevel = "wran"',
      "listenql.toml:1: LogLevel is 'wran' but must be one of trace, debug, info, warn, error, silent; did you mean warn?",
    ],
    ['Channels = [1]', 'listenql.toml:1: Channels must be a list of texts that are not empty'],
    [
      'Channels = ["a[b"]',
      "listenql.toml:1: Channels must hold globs; in 'a[b' a bracket is not closed or holds an impossible range",
    ],
    ['HttpPort = 1\nHttpHost = \n', 'listenql.toml:2:12: '],
  ])('is refused for %j', (content, message) => {
    expect(messageFor(content)).toContain(message)
    expect(messageFor(content)).not.toContain('\n')
  })

  it('shows no secret in messages', () => {
    expect(messageFor('DbConnection = ["hunter2"]')).toBe('listenql.toml:1: DbConnection must be a text')
    expect(messageFor('DbConnection = "hunter2')).not.toContain('hunter2')
    expect(messageFor('DbConnection = hunter2')).not.toContain('hunter2')
  })
})
