import { execFileSync } from 'node:child_process'
import { afterEach, expect, it, vi } from 'vitest'
import { createCommands } from './running.js'

afterEach(() => vi.unstubAllEnvs())

const stateOf = (pid: number) => execFileSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })

it('endAll() ends commands that are reaped together with the command that it waits for', async () => {
  const commands = createCommands()
  const children = [0, 1, 2].map(
    () => commands.spawn('sh', ['-c', 'exit 0'], { detached: true, stdio: 'ignore' }).child,
  )
  // Checks without a turn of the event loop, so that all three have ended before the first is reaped.
  for (const { pid } of children) while (!stateOf(pid as number).startsWith('Z'));
  await commands.endAll()
  expect(children.map(child => child.exitCode)).toEqual([0, 0, 0])
})

it('commands print no colours, even if those of this process should', async () => {
  vi.stubEnv('FORCE_COLOR', '1')
  vi.stubEnv('CI', 'true')
  const commands = createCommands()
  const program = `console.log(require('node:tty').WriteStream.prototype.hasColors())`
  const { out, end } = commands.spawn(process.execPath, ['-e', program])
  expect(await end).toBe(0)
  expect(out()).toBe('false\n')
})
