import { chmod, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../../src/embedded/free-port.js'
import { pack } from '../support/consumer.js'
import { cleanEnvironment, createCommands } from '../support/running.js'
import { waitUntil } from '../support/wait.js'

let project: string
let tarball: string
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'listenql-examples-'))
  await chmod(project, 0o755) // If the process is root, Postgres runs from here as another user.
  tarball = await pack(project)
})
afterAll(() => rm(project, { recursive: true, force: true, maxRetries: 5 }))

// All examples share their start.js: one without an api.js, and one with it.
describe.each(['fleet', 'chat'])('examples/%s', name => {
  it('starts with the two commands of its README, outside of this repository', async () => {
    const folder = join(project, name)
    await cp(join('examples', name), folder, {
      recursive: true,
      filter: path => !/(node_modules|\.listenql|package-lock\.json)$/.test(path),
    })
    const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
    manifest.dependencies.listenql = `file:${tarball}`
    await writeFile(join(folder, 'package.json'), JSON.stringify(manifest))

    const commands = createCommands({ cwd: folder })
    try {
      const install = commands.spawn('npm', ['install', '--no-fund', '--no-audit'])
      expect(await install.end, install.err()).toBe(0)
      const port = await freePort()
      const url = `http://localhost:${port}`
      // npm runs the command in a shell, which does not forward signals.
      const start = commands.spawn('npm', ['start'], {
        detached: true,
        env: { ...cleanEnvironment(), PORT: String(port) },
      })
      await waitUntil(
        () => {
          if (start.child.exitCode !== null) throw new Error(`npm start ended: ${start.err()}`)
          return start.out().includes(`${url}/`)
        },
        `${name} to start`,
        60_000,
      )
      const page = await (await fetch(url)).text()
      const script = page.match(/src="(app\.[jt]sx?)"/)?.[1]
      const app = await (await fetch(`${url}/${script}`)).text()
      const client = app.match(/"(\/node_modules\/\.vite\/deps\/listenql_[^"]+)"/)?.[1]
      expect(await (await fetch(url + client)).text()).toMatch('createClient')
    } finally {
      await commands.endAll()
    }
  })
})
