import { expect } from 'vitest'
import { readMigrations } from '../../../src/log/migration-files.js'
import { runCli } from '../../support/cli.js'
import type { Chapter } from '../chapter.js'
import { FORMER_VERSION } from '../day.js'

export const FAILOVER: Chapter = {
  title: 'the primary crashes, and the standby is promoted after the alert',
  alerts: ['ListenqlNotReady'],
  async run({ cluster, prometheus }, { writers }) {
    await cluster.losePrimary()
    await prometheus.until(
      'count(ALERTS{alertname="ListenqlNotReady", alertstate="firing", part="database"}) == 3',
      'ListenqlNotReady to fire for each server',
    )
    const confirmed = [...writers.confirmed]
    await cluster.promote()
    await writers.more(20)
    const kept = new Set((await cluster.query<{ n: number }>('select n from journal')).map(({ n }) => n))
    expect(confirmed.filter(n => !kept.has(n))).toEqual([])
    await cluster.addStandby()
    await prometheus.until('absent(ALERTS{alertname="ListenqlNotReady"})', 'ListenqlNotReady to end')
    await writers.more(50)
    return `none of ${confirmed.length} confirmed transactions is missing; the new primary has a standby again`
  },
}

export const UPGRADE: Chapter = {
  title: `the schema is upgraded from version ${FORMER_VERSION} while all run`,
  async run({ serverUrl, cluster }, { writers }) {
    const { code, stderr } = await runCli(['install', '--database-url', serverUrl])
    if (code !== 0) throw new Error(`listenql install failed: ${stderr}`)
    const [row] = await cluster.query<{ version: number }>(
      'select max(version) as version from listenql.migration',
    )
    expect(row?.version).toBe(readMigrations().length)
    await writers.more(100)
    return `version ${row?.version}`
  },
}
