import type { Settings } from '../config/index.js'
import { ListenqlError } from '../lib/errors.js'
import { localUrl } from './shared/local-url.js'
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
  const url =
    typeof given === 'string' ? checkUrl(given) : localUrl(loadSettings(), '--url http://localhost:PORT')
  return { channels, url, json: plain.has('json') }
}

function checkUrl(url: string): string {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url
  throw new ListenqlError('BAD_CONFIGURATION', '--url must be a URL such as http://localhost:7700')
}
