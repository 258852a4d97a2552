import { defineConfig } from 'vitest/config'
import config from './vitest.config.js'

export default defineConfig({
  ...config,
  test: {
    ...config.test,
    include: ['test/stress/**/*.stress.ts'],
    maxWorkers: 1,
    disableConsoleIntercept: true, // progress shows while it runs
  },
})
