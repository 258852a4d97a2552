import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Manifest } from './manifests.js'
import { cleanEnvironment } from './running.js'

/** The schemas of Kubernetes and of Prometheus' operator, as the packages of kubernetes-models have them. */
export interface ManifestSchemas {
  /** Finds wrong values and missing fields. Rejects with the faults that the validators of the kinds find. */
  validate(manifests: readonly Manifest[]): Promise<void>
  /**
   * Finds fields that do not exist, which the API server would ignore or refuse.
   * @returns what the compiler says about the manifests as literals of their types; nothing if all is well
   */
  compile(manifests: readonly Manifest[]): Promise<string>
  close(): Promise<void>
}

const PACKAGES = ['kubernetes-models@5.1.0', '@kubernetes-models/prometheus-operator@6.0.0']
const TSC = resolve(import.meta.dirname, '../../node_modules/.bin/tsc')
const OPTIONS = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2023']

const run = promisify(execFile)

function moduleOf({ apiVersion, kind }: Pick<Manifest, 'apiVersion' | 'kind'>): string {
  const root = apiVersion.startsWith('monitoring.coreos.com/')
    ? '@kubernetes-models/prometheus-operator'
    : 'kubernetes-models'
  return `${root}/${apiVersion}/${kind}`
}

/** Validates the manifests of the file in the first argument; the packages can be imported from their folder only. */
const VALIDATE = `
import { readFileSync } from 'node:fs'
for (const { module, manifest } of JSON.parse(readFileSync(process.argv[2], 'utf8'))) {
  const models = await import(module)
  new models[manifest.kind](manifest).validate()
}
`

/** Installs the packages from the registry. */
export async function createManifestSchemas(): Promise<ManifestSchemas> {
  const folder = await mkdtemp(join(tmpdir(), 'listenql-manifest-schemas-'))
  await writeFile(join(folder, 'package.json'), '{"name":"x","type":"module"}')
  await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...PACKAGES], {
    cwd: folder,
    env: cleanEnvironment(),
  })
  await writeFile(join(folder, 'validate.mjs'), VALIDATE)
  const bare = ({ file: _file, ...manifest }: Manifest) => manifest
  return {
    async validate(manifests) {
      const list = manifests.map(manifest => ({ module: moduleOf(manifest), manifest: bare(manifest) }))
      await writeFile(join(folder, 'manifests.json'), JSON.stringify(list))
      await run(process.execPath, ['validate.mjs', 'manifests.json'], { cwd: folder })
    },
    async compile(manifests) {
      const lines = manifests.flatMap((manifest, i) => [
        `import type { I${manifest.kind} as Kind${i} } from '${moduleOf(manifest)}'`,
        `export const manifest${i}: Kind${i} = ${JSON.stringify(bare(manifest), undefined, 2)}`,
      ])
      await writeFile(join(folder, 'manifests.ts'), lines.join('\n'))
      return run(TSC, [...OPTIONS, 'manifests.ts'], { cwd: folder }).then(
        ({ stdout }) => stdout,
        (error: { stdout: string }) => error.stdout,
      )
    },
    close: () => rm(folder, { recursive: true, force: true }),
  }
}
