import type { Settings } from '../../config/index.js'
import { ListenqlError } from '../../lib/errors.js'

/**
 * The URL of a server with these settings, from this machine.
 * @param instead the flag that gives the URL, for the message of the error
 * @throws ListenqlError BAD_CONFIGURATION if the port is 0
 */
export function localUrl(
  { host, port, basePath }: Pick<Settings, 'host' | 'port' | 'basePath'>,
  instead: string,
): string {
  if (port === 0) {
    throw new ListenqlError(
      'BAD_CONFIGURATION',
      'the port is 0 (any free port), so the URL of the server is unknown',
      {
        hint: `give it with ${instead}`,
      },
    )
  }
  const everywhere = host === '0.0.0.0' || host === '::'
  const name = everywhere ? 'localhost' : host.includes(':') ? `[${host}]` : host
  return `http://${name}:${port}${basePath === '/' ? '' : basePath}`
}

/**
 * The URL that the flag `--url` gives, otherwise that of a server with these settings.
 * @param load is called only if the flag is missing
 * @throws ListenqlError BAD_CONFIGURATION
 */
export function serverUrl(
  plain: ReadonlyMap<string, string | true>,
  load: () => Pick<Settings, 'host' | 'port' | 'basePath'>,
): string {
  const given = plain.get('url')
  if (typeof given !== 'string') return localUrl(load(), '--url http://localhost:PORT')
  if (URL.canParse(given) && /^https?:$/.test(new URL(given).protocol)) return given
  throw new ListenqlError('BAD_CONFIGURATION', '--url must be a URL such as http://localhost:7700')
}
