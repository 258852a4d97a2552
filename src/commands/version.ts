import { createRequire } from 'node:module'

/** As in package.json. Found by the package's own name: sources and built files lie at different depths. */
export function version(): string {
  const manifest = createRequire(import.meta.url)('listenql/package.json') as { version: string }
  return manifest.version
}
