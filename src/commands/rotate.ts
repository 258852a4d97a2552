import type { Settings } from '../config/index.js'
import { ListenqlError } from '../lib/errors.js'
import { sizeWords } from '../lib/words.js'
import { canRotate, rotate } from '../log/rotate.js'
import type { Streams } from './shared/command.js'
import { type Database, refuseStandby, withClient } from './shared/connect.js'

/** Clears the events that are due from the event log, once. @throws ListenqlError DATABASE_FAILED */
export async function rotateCommand(
  { config }: Pick<Database, 'config'>,
  settings: Pick<Settings, 'retention' | 'maxLogSize'>,
  { stdout }: Pick<Streams, 'stdout'>,
): Promise<number> {
  return withClient(config, 'rotate', async client => {
    await refuseStandby(client)
    if (!(await canRotate(client))) {
      throw new ListenqlError('DATABASE_FAILED', 'there is no event log here that this login may clear', {
        hint: 'listenql install creates one, listenql install --grant-to LOGIN allows a login to clear it',
      })
    }
    const { dropped, early, droppedBytes, bytes, busy } = await rotate(client, settings)
    const left = `the event log has ${sizeWords(bytes)}`
    if (dropped === 0) stdout.write(`nothing was cleared; ${left}\n`)
    else stdout.write(`${sizeWords(droppedBytes)} were cleared; ${left} now\n`)
    if (early > 0)
      stdout.write('--max-log-size was exceeded: some cleared events were younger than --retention\n')
    const isTooLarge = settings.maxLogSize !== undefined && bytes > settings.maxLogSize
    const obstacle = busy ?? (isTooLarge ? 'transactions that write to it are open' : undefined)
    if (obstacle !== undefined) stdout.write(`some events that are due could not be cleared: ${obstacle}\n`)
    return 0
  })
}
