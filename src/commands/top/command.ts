import { duration } from '../../config/index.js'
import { ListenqlError, messageOf } from '../../lib/errors.js'
import type { Command } from '../shared/command.js'

/** Each screen is a request to the server, in ms. */
const SHORTEST_INTERVAL_MS = 100

/** `listenql top` */
export const TOP_COMMAND: Command = {
  name: 'top',
  summary: 'Show what a running server does, live',
  usage: 'top [flags]',
  description:
    'Shows the state of a running server and refreshes it until Ctrl-C: connections and the slowest of them, the groups with most subscribers, the tables and channels with most events, and the live queries that took the most time. It reads /status of the host and port at which a server with this configuration listens; --url names another server, or its metrics port. Without a terminal, it prints the state once.',
  examples: [
    ['npx listenql top', 'the server on this machine'],
    ['npx listenql top --url http://localhost:9464', 'the metrics port of a server'],
    ['npx listenql top --once', 'print the state once'],
  ],
  options: ['host', 'port', 'basePath', 'metricsPort', 'debug'],
  flags: [
    { flag: 'url', placeholder: 'URL', help: 'The server, or its metrics port' },
    { flag: 'once', help: 'Print the state once, and end' },
    { flag: 'interval', placeholder: 'DURATION', help: 'Time between two screens (2s)' },
  ],
  words: { min: 0, max: 0, what: '' },
  run: async ({ load, plain, stdout }) => {
    const { serverUrl } = await import('../shared/local-url.js')
    const { listenForStop } = await import('../shared/stop-signals.js')
    const { topCommand } = await import('./top.js')
    const stop = listenForStop()
    const url = serverUrl(plain, () => {
      const { settings } = load()
      return settings.metricsPort === undefined
        ? settings
        : { ...settings, port: settings.metricsPort, basePath: '' }
    })
    const code = await topCommand(
      { url, interval: intervalOf(plain.get('interval')), once: plain.has('once') },
      { stdout },
      stop.signal,
    )
    if (stop.signal.aborted) stop.raise()
    return code
  },
}

/** Returns ms. @throws ListenqlError BAD_CONFIGURATION */
function intervalOf(text: string | true | undefined): number {
  if (text === undefined) return 2000
  try {
    return Math.max(SHORTEST_INTERVAL_MS, duration.parse(String(text)))
  } catch (error) {
    throw new ListenqlError('BAD_CONFIGURATION', `--interval ${messageOf(error)}`)
  }
}
