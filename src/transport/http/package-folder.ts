import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Returns the folder with package.json above this file, which is in `src/` in tests and in `dist/src/` when installed.
 *
 * @throws Error if there is none: the installation is incomplete
 */
export function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder)
    if (parent === folder)
      throw new Error('There is no package.json above listenql: the installation is incomplete')
    folder = parent
  }
  return folder
}
