import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ListenqlError } from '../../lib/errors.js'

/** The part of `@graphql-codegen/cli` that the command uses. */
export interface Generator {
  /** A configuration, and the file that it comes from. */
  readonly CodegenContext: new (options: {
    readonly config: object
    readonly filepath: string
  }) => object
  /** Generates and writes the files. With `watch` in the configuration, it does so again at each change, until the process ends. */
  generate(config: object, saveToFile: boolean): Promise<readonly { readonly filename: string }[]>
}

const GENERATOR = '@graphql-codegen/cli'
/** It brings these two along, and npm and yarn make them available to the project; pnpm does not. */
const PARTS = ['@graphql-codegen/client-preset', '@graphql-typed-document-node/core']
const WATCHER = '@parcel/watcher'

/**
 * Loads the generator of the project. It is no dependency of listenql, since it consists of many packages.
 * @param folder of the project
 * @param forWatching whether files will be watched
 * @throws ListenqlError CODEGEN_FAILED if it is not installed
 */
export async function loadGenerator(folder: string, forWatching: boolean): Promise<Generator> {
  const require = createRequire(join(folder, 'package.json'))
  const isMissing = (name: string) => !canResolve(require, `${name}/package.json`)
  const parts = isMissing(GENERATOR) ? [] : PARTS
  const missing = [GENERATOR, ...parts, ...(forWatching ? [WATCHER] : [])].filter(isMissing)
  if (missing.length > 0) {
    throw new ListenqlError(
      'CODEGEN_FAILED',
      `${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} not installed in ${folder}`,
      { hint: `npm install --save-dev ${missing.join(' ')}` },
    )
  }
  return (await import(pathToFileURL(require.resolve(GENERATOR)).href)) as Generator
}

function canResolve(require: NodeJS.Require, path: string): boolean {
  try {
    require.resolve(path)
    return true
  } catch {
    return false
  }
}
