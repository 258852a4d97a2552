import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { build } from 'vite'

const root = resolve(import.meta.dirname, '../..')

/**
 * Bundles an app in JSX as a project of its own would, with the packages of this checkout.
 * @param mode with the development build of React, StrictMode mounts each component twice
 * @returns a script for browsers
 */
export async function bundleApp(
  jsx: string,
  mode: 'production' | 'development' = 'production',
): Promise<string> {
  const entry = resolve(root, 'app-of-a-test.jsx') // no such file: the text is in memory, and packages resolve from the root
  const built = await build({
    root,
    configFile: false,
    logLevel: 'silent',
    // vitest sets NODE_ENV to `test`, for which vite compiles JSX for React's development build.
    oxc: { jsx: { runtime: 'automatic', development: false } },
    define: { 'process.env.NODE_ENV': JSON.stringify(mode) },
    resolve: {
      alias: {
        'listenql/client': resolve(root, 'dist/src/client/index.js'),
        'listenql/react': resolve(root, 'dist/src/client/react/index.js'),
        'listenql/apollo': resolve(root, 'dist/src/client/apollo/index.js'),
        'listenql/tanstack-db': resolve(root, 'dist/src/client/tanstack-db/index.js'),
        'listenql/urql': resolve(root, 'dist/src/client/urql/index.js'),
      },
      dedupe: ['react', 'graphql'],
    },
    plugins: [
      {
        name: 'app',
        enforce: 'pre',
        resolveId: id => (id === entry ? entry : undefined),
        load: id => (id === entry ? jsx : undefined),
      },
    ],
    build: {
      write: false,
      minify: false,
      rollupOptions: { input: entry, output: { format: 'es', codeSplitting: false } },
    },
  })
  const [output] = [built].flat()
  const chunk = output && 'output' in output ? output.output[0] : undefined
  if (!chunk) throw new Error('vite built nothing')
  return chunk.code
}

/** A web server of its own for an app, as a development server is: the app's origin is not that of listenql. */
export interface AppHost {
  readonly url: string
  /** Serves this script from now on, in a page with this content. */
  serve(script: string, content?: string): void
  close(): Promise<void>
}

export async function createAppHost(): Promise<AppHost> {
  let script = ''
  let content = ''
  const server = createServer(({ url }, response) => {
    const isScript = url === '/app.js'
    response.setHeader('content-type', `${isScript ? 'text/javascript' : 'text/html'}; charset=utf-8`)
    response.end(
      isScript
        ? script
        : `<!doctype html><title>app</title><script src="app.js" type="module"></script><body>${content}`,
    )
  })
  await new Promise<void>(done => server.listen(0, 'localhost', done))
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    serve(text, body = '') {
      script = text
      content = body
    },
    async close() {
      server.closeAllConnections()
      await new Promise(done => server.close(done))
    },
  }
}
