import type { Settings } from '../config/index.js'
import { serverUrl } from './shared/local-url.js'
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
  return { channels, url: serverUrl(plain, loadSettings), json: plain.has('json') }
}
