import { execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { runCompose } from '../support/compose-run.js'
import { buildImage, type Image } from '../support/image.js'
import { type PidOne, startPidOne } from '../support/pid-one.js'

// `npm run image`: the image as buildah builds it. Each container is PID 1 of its namespaces, on a read-only file system and without
// capabilities, with the user, environment and entry point of the image.

let image: Image
beforeAll(async () => {
  image = await buildImage(step => console.log(`building: ${step}`))
  const size = execFileSync('du', ['--summarize', '--block-size=MB', join(image.root, 'app')], {
    encoding: 'utf8',
  })
  console.log(`built: ${size.split('\t')[0]} on top of the base image`)
  await mkdir(join(image.root, 'config'))
})
afterAll(() => image?.close())

/** Starts a container, as `docker run --read-only --cap-drop ALL` does. */
async function start(command: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<PidOne> {
  const { Env, Entrypoint, User, WorkingDir } = image.config
  const own = Object.fromEntries(Env.map(one => one.split(/=(.*)/s).slice(0, 2)))
  return startPidOne(
    [...Entrypoint, ...command],
    { ...own, ...env },
    { root: image.root, user: Number(User.split(':')[0]), workdir: WorkingDir },
  )
}

it('has the labels, the port and the user of the Dockerfile', async () => {
  const { version, license } = JSON.parse(await readFile('package.json', 'utf8'))
  const { Labels, ExposedPorts, User } = image.config
  expect(Labels).toMatchObject({
    'org.opencontainers.image.title': 'listenql',
    'org.opencontainers.image.version': version,
    'org.opencontainers.image.licenses': license,
  })
  expect(Object.keys(ExposedPorts)).toEqual(['7700/tcp'])
  expect(User).toBe('1000:1000')
})

it('runs a command in place of the options', async () => {
  const container = await start(['--version'])
  expect(await container.end).toBe(0)
  expect(container.out()).toMatch(/\d+\.\d+\.\d+/)
})

it('runs the services of compose.yaml', async () => {
  const [kind, ...health] = image.config.Healthcheck.Test
  expect(kind).toBe('CMD')
  await runCompose({
    health,
    async start(command, config, env) {
      await writeFile(join(image.root, 'config/listenql.toml'), config)
      return start(command, env)
    },
  })
})
