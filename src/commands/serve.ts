import { formatDuration, type LoadedSettings } from '../config/index.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { type Failure, failureToConnect, isContact, type Observe } from '../lib/observation.js'
import { createServer, type ListenqlServer } from '../server/create-server.js'

import { createLogger } from '../telemetry/logger.js'
import { notReloaded } from '../telemetry/settings-lines.js'
import { announce } from './shared/announce.js'
import { createServiceManager } from './shared/service-manager.js'
import { listenForStop } from './shared/stop-signals.js'

/**
 * Runs the server until a signal asks it to stop; a second signal ends it at once. Without a terminal, SIGHUP reads the settings and
 * the files that they name again instead.
 * @param load reads the settings again, and the configuration file that was read before if there was one
 * @returns the exit code
 */
export async function serveCommand(
  { settings, file, notices, warnings }: LoadedSettings,
  load: (former?: string) => LoadedSettings,
): Promise<number> {
  const logger = createLogger({ level: settings.logLevel, format: settings.logFormat })
  for (const notice of notices) logger.info(notice)
  for (const warning of warnings) logger.warn(warning)

  const manager = createServiceManager({ env: process.env, logger })
  // From the start: Ctrl-C while Postgres starts must not leave it running.
  let server: ListenqlServer | undefined
  let isReloadWanted = false
  const reload = () => {
    if (!server) {
      isReloadWanted = true // the settings that it starts with have been read already
      return
    }
    server.reopenAuditLog()
    if (signal.aborted) return
    let next: LoadedSettings
    try {
      next = load(file)
    } catch (error) {
      return logger.error(
        notReloaded(messageOf(error), error instanceof ListenqlError ? error.hint : undefined),
      )
    }
    for (const warning of next.warnings) logger.warn(warning)
    try {
      server.reload(next.settings)
    } catch {
      // The server has logged it.
    }
  }
  const stop = listenForStop({ watchesParent: true, onHangup: reload })
  const { signal } = stop
  const stopped = new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
  void stopped.then(() => {
    const { drain } = settings
    const pace = drain > 0 && isServing ? ` over ${formatDuration(drain)},` : ''
    logger.info(`${messageOf(signal.reason)}: ending streams${pace} and stopping.`)
    setTimeout(() => {
      process.stderr.write(`listenql: not stopped after ${settings.shutdownTimeout} ms, giving up\n`)
      process.exit(1)
    }, settings.shutdownTimeout).unref()
  })
  let isReached = false
  let isServing = false
  let trouble: Failure | undefined
  const observe: Observe = observation => {
    isReached ||= isContact(observation)
    trouble = isReached ? undefined : (trouble ?? failureToConnect(observation))
  }
  try {
    server = await createServer({ ...settings, logger, signal, observe })
    isServing = true
    manager?.ready(server.status)
    announce({ server, trouble, settings, logger })
    if (isReloadWanted) reload()
    await stopped
    const closed = server.close()
    manager?.stopping()
    await closed
  } catch (error) {
    if (error !== signal.reason) throw error
  }
  manager?.close()
  logger.info('Stopped.')
  // Node aborts at exit if it cannot reset its terminal, which is gone after a SIGHUP.
  if (messageOf(signal.reason) === 'SIGHUP') stop.raise()
  return 0
}
