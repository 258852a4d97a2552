import { defineConfig } from 'vitest/config'
import config from './vitest.config.js'

/** A day in the life of an installation, in a few minutes. Needs Debian's postgresql-15, nginx, prometheus and chromium. */
export default defineConfig({
  ...config,
  test: {
    ...config.test,
    include: ['test/day/**/*.day.ts'],
    globalSetup: [], // it has a cluster of its own
    maxWorkers: 1,
    disableConsoleIntercept: true, // progress shows while it runs
  },
})
