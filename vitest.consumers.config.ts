import { defineConfig } from 'vitest/config'

/** The packed package as users get it: installed from the registry, without this checkout's overrides. Needs the network. */
export default defineConfig({
  test: {
    include: ['test/consumers/**/*.consumer.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 600_000,
  },
})
