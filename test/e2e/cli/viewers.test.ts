import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { runCli } from '../../support/cli.js'
import { listeningUrl } from '../../support/listening-url.js'
import { createLog } from '../../support/log.js'
import { waitUntil } from '../../support/wait.js'

const CLI = join(import.meta.dirname, '../../../dist/src/cli.js')
const SECRET = 'hunter2'.repeat(6)

it('the command shows no secret in the list of processes, in its output or in its help', async () => {
  const log = await createLog()
  const child = spawn(
    process.execPath,
    [CLI, '--port', '0', '--log-level', 'trace', '--database-url', log.database.url, '--jwt-secret', SECRET],
    { env: {}, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const exit = new Promise(resolve => child.once('exit', resolve))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', chunk => {
      output += chunk
    })
  }
  try {
    await waitUntil(() => listeningUrl(output), 'the server to start')
    const shown = await readFile(`/proc/${child.pid}/cmdline`, 'utf8')
    expect(shown).toMatch(/^listenql/)
    expect(shown).not.toContain('hunter2')
    expect(shown).not.toContain(new URL(log.database.url).password)
  } finally {
    child.kill('SIGTERM')
    await exit
    await log.close()
  }
  expect(output).not.toContain('hunter2')
  const env = { LISTENQL_JWT_SECRET: SECRET }
  for (const argv of [['serve', '--help'], ['config'], ['config', '--example'], ['config', '--markdown']]) {
    const { stdout, stderr } = await runCli(argv, { env })
    expect(stdout).toMatch(/jwt-secret|JwtSecret/)
    expect(stdout + stderr).not.toContain('hunter2')
  }
}, 60_000)

it('the server refuses a secret that is too short, and does not show it', async () => {
  const env = { LISTENQL_JWT_SECRET: 'hunter2', DATABASE_URL: 'postgres://x@127.0.0.1:1/x' }
  const { code, stderr } = await runCli(['--port', '0'], { env })
  expect(code).toBe(2)
  expect(stderr).toContain('the secret for tokens (--jwt-secret) has 7 bytes, it must have 32 or more')
  expect(stderr).not.toContain('hunter2')
})

it('kick records a claim and its value, and refuses to run without them', async () => {
  const log = await createLog()
  try {
    const env = { DATABASE_URL: log.database.url }
    expect((await runCli(['kick', '--claim', 'sub=42'], { env })).code).toBe(0)
    expect(await log.query('select claim, value from listenql.kick')).toEqual([{ claim: 'sub', value: '42' }])
    expect(await runCli(['kick'], { env })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--claim must be a claim and its value'),
    })
  } finally {
    await log.close()
  }
})
