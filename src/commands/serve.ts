import type { LoadedSettings } from '../config/index.js'
import { messageOf } from '../lib/errors.js'
import { type Failure, failureToConnect, isContact, type Observe } from '../lib/observation.js'
import { createServer } from '../server/create-server.js'
import { createLogger } from '../telemetry/logger.js'
import { announce } from './shared/announce.js'
import { listenForStop } from './shared/stop-signals.js'

/** Runs the server until a signal asks it to stop; a second signal ends it at once. @returns the exit code */
export async function serveCommand({ settings, notices, warnings }: LoadedSettings): Promise<number> {
  const logger = createLogger({ level: settings.logLevel, format: settings.logFormat })
  for (const notice of notices) logger.info(notice)
  for (const warning of warnings) logger.warn(warning)

  // From the start: Ctrl-C while Postgres starts must not leave it running.
  const stop = listenForStop({ watchesParent: true })
  const { signal } = stop
  const stopped = new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
  void stopped.then(() => {
    logger.info(`${messageOf(signal.reason)}: ending streams and stopping.`)
    setTimeout(() => {
      process.stderr.write(`listenql: not stopped after ${settings.shutdownTimeout} ms, giving up\n`)
      process.exit(1)
    }, settings.shutdownTimeout).unref()
  })
  let isReached = false
  let trouble: Failure | undefined
  const observe: Observe = observation => {
    isReached ||= isContact(observation)
    trouble = isReached ? undefined : (trouble ?? failureToConnect(observation))
  }
  try {
    const server = await createServer({ ...settings, logger, signal, observe })
    announce({ server, trouble, settings, logger })
    await stopped
    await server.close()
  } catch (error) {
    if (error !== signal.reason) throw error
  }
  logger.info('Stopped.')
  // Node aborts at exit if it cannot reset its terminal, which is gone after a SIGHUP.
  if (messageOf(signal.reason) === 'SIGHUP') stop.raise()
  return 0
}
