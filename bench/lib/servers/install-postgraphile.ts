import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

export const POSTGRAPHILE = '5.1.5'
/** PostGraphile 5 needs Node 22. */
const NODE = '22.23.3'

/** Where PostGraphile is, and the Node that runs it. */
export interface Installed {
  readonly folder: string
  readonly node: string
}

/**
 * Installs PostGraphile and its Node from the registry into the folder for temporary files, unless they are there.
 * @throws the error of npm
 */
export async function installPostgraphile(): Promise<Installed> {
  const folder = join(tmpdir(), `listenql-bench-postgraphile-${POSTGRAPHILE}-${NODE}`)
  const node = join(folder, 'node_modules/node/bin/node')
  if (!existsSync(node)) {
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'package.json'), '{ "private": true }')
    await promisify(execFile)(
      'npm',
      ['install', '--no-audit', '--no-fund', '--no-save', `postgraphile@${POSTGRAPHILE}`, `node@${NODE}`],
      { cwd: folder },
    )
  }
  return { folder, node }
}
