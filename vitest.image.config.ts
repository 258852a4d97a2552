import { defineConfig } from 'vitest/config'

/** The image of deploy/container, built with buildah and run without an engine. Needs root, Debian's buildah and mmdebstrap, and the network. */
export default defineConfig({
  test: {
    include: ['test/deploy/*.build.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    disableConsoleIntercept: true, // progress shows while it runs
    testTimeout: 120_000,
    hookTimeout: 900_000,
  },
})
