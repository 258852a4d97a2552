import { execFile, spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { cleanEnvironment } from './running.js'

/** A project that has installed the packed package from the registry. */
export interface Consumer {
  readonly folder: string
  /** The output of `npm install`. */
  readonly printed: string
  write(name: string, text: string): Promise<void>
  /** Runs a program in the project. Never rejects. */
  run(program: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Outcome>
  close(): Promise<void>
}

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Packs the built package. @returns the path of the tarball */
export async function pack(folder: string): Promise<string> {
  const { stdout } = await new Promise<{ stdout: string }>((resolve, reject) =>
    execFile('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], (error, stdout) =>
      error ? reject(error) : resolve({ stdout }),
    ),
  )
  const [packed] = JSON.parse(stdout) as [{ filename: string }]
  return join(folder, packed.filename)
}

/**
 * @param options.packages packages to install besides the package itself, in the notation of npm
 * @param options.node the Node that runs npm. Default: that of this process
 */
export async function createConsumer(
  options: { readonly packages?: readonly string[]; readonly node?: string } = {},
): Promise<Consumer> {
  const { packages = [], node = process.execPath } = options
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'listenql-consumer-')))
  await chmod(folder, 0o755) // If the process is root, Postgres runs from here as another user.
  const tarball = await pack(folder)
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', type: 'module' }))
  const run: Consumer['run'] = (program, args, env = {}) =>
    new Promise(resolve => {
      const child = spawn(program, args, {
        cwd: folder,
        env: { ...cleanEnvironment(), PATH: `${dirname(node)}:${process.env.PATH}`, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let stdout = ''
      let stderr = ''
      child.stdout.on('data', chunk => (stdout += chunk))
      child.stderr.on('data', chunk => (stderr += chunk))
      child.once('close', code => resolve({ code, stdout, stderr }))
    })
  const installed = await run('npm', ['install', '--no-fund', '--no-audit', tarball, ...packages])
  if (installed.code !== 0) throw new Error(`npm install failed: ${installed.stderr}`)
  return {
    folder,
    printed: installed.stdout + installed.stderr,
    run,
    async write(name, text) {
      const path = join(folder, name)
      await mkdir(join(path, '..'), { recursive: true })
      await writeFile(path, text)
    },
    close: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }),
  }
}

export interface InstalledNode {
  /** Path of the program. */
  readonly node: string
  close(): Promise<void>
}

/** Installs a version of Node from npm. @returns its path */
export async function installNode(version: number): Promise<InstalledNode> {
  const folder = await mkdtemp(join(tmpdir(), `listenql-node-${version}-`))
  await chmod(folder, 0o755)
  await writeFile(join(folder, 'package.json'), '{}')
  await new Promise<void>((resolve, reject) =>
    execFile(
      'npm',
      ['install', '--no-fund', '--no-audit', `node@${version}`],
      { cwd: folder, env: cleanEnvironment() },
      error => (error ? reject(error) : resolve()),
    ),
  )
  const node = join(folder, 'node_modules/node/bin/node')
  return { node, close: () => rm(folder, { recursive: true, force: true }) }
}
