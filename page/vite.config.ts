import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

/** While the page is developed, `npx vite --config page/vite.config.ts` serves it, and asks this server. */
const SERVER = process.env.LISTENQL_URL ?? 'http://localhost:7700'

/** Builds the page into dist/page, as the server serves it. All links are relative, so that it works under any path. */
export default defineConfig({
  root: import.meta.dirname,
  base: './',
  logLevel: 'warn',
  // Also where NODE_ENV is `test`, for which Vite would take React's development build.
  define: { 'process.env.NODE_ENV': '"production"' },
  server: { proxy: { '/graphql': { target: SERVER, ws: true }, '/readyz': SERVER } },
  oxc: { jsx: { runtime: 'automatic', development: false } },
  build: {
    outDir: fileURLToPath(new URL('../dist/page', import.meta.url)),
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    // The page's policy allows no data: URLs but images, and few requests are quicker than many.
    assetsInlineLimit: 0,
    rolldownOptions: {
      // `use client` of TanStack Table, which means nothing to a page without a server's components.
      onLog: (level, log, handle) => log.code === 'MODULE_LEVEL_DIRECTIVE' || handle(level, log),
      output: {
        entryFileNames: 'assets/page.js',
        assetFileNames: 'assets/page[extname]',
        codeSplitting: false,
      },
    },
  },
})
