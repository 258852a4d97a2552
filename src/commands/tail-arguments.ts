import type { Settings } from '../config/index.js'
import { ListenqlError } from '../lib/errors.js'
import type { TailArguments } from './tail.js'

/**
 * The flags and settings as arguments of `listenql tail`.
 * @param loadSettings is called only if `--url` is missing
 * @throws ListenqlError BAD_CONFIGURATION
 */
export function tailArguments(
  loadSettings: () => Settings,
  channels: readonly string[],
  plain: ReadonlyMap<string, string | true>,
): TailArguments {
  const given = plain.get('url')
  const url = typeof given === 'string' ? checkUrl(given) : localUrl(loadSettings())
  return { channels, url, json: plain.has('json') }
}

/** The URL of a server with these settings, from this machine. */
function localUrl({ host, port, basePath }: Settings): string {
  if (port === 0) {
    throw new ListenqlError(
      'BAD_CONFIGURATION',
      'the port is 0 (any free port), so the URL of the server is unknown',
      {
        hint: 'give it with --url http://localhost:PORT',
      },
    )
  }
  const everywhere = host === '0.0.0.0' || host === '::'
  const name = everywhere ? 'localhost' : host.includes(':') ? `[${host}]` : host
  return `http://${name}:${port}${basePath === '/' ? '' : basePath}`
}

function checkUrl(url: string): string {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url
  throw new ListenqlError('BAD_CONFIGURATION', '--url must be a URL such as http://localhost:7700')
}
