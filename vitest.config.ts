import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

// Tests of one cluster see each other's transactions, so each worker has a cluster of its own; a given database has one.
const workers = process.env.LISTENQL_TEST_DATABASE_URL ? 1 : Math.min(4, availableParallelism())

export default defineConfig({
  // Vite would take graphql's `module` entry where Node takes `main`: two copies, and each refuses the other's schema.
  resolve: { alias: [{ find: /^graphql$/, replacement: createRequire(import.meta.url).resolve('graphql') }] },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    maxWorkers: workers,
    testTimeout: 30_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 20_000 } },
  },
})
