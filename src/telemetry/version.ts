import { createRequire } from 'node:module'

/** The version in package.json. Found by the package's own name, since sources and built files have different depths. */
export function version(): string {
  const manifest = createRequire(import.meta.url)('listenql/package.json') as { version: string }
  return manifest.version
}
