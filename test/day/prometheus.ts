import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { freePort } from '../support/nginx.js'
import { waitUntil } from '../support/wait.js'
import { hurry } from './hurry.js'

const PROGRAM = process.env.LISTENQL_PROMETHEUS ?? '/usr/bin/prometheus'
const MONITORING = resolve(import.meta.dirname, '../../deploy/monitoring')

/** The values of one series: `[seconds since 1970, value]`. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly values: readonly (readonly [number, string])[]
}

/** A Prometheus with the configuration and the rules of deploy/monitoring, at another speed. */
export interface Prometheus {
  /** Evaluates an expression at present. */
  now(expr: string): Promise<Series[]>
  /** Evaluates an expression for each second from `from` to `to`, both in seconds since 1970. */
  range(expr: string, from: number, to: number): Promise<Series[]>
  /** Resolves once an expression has a value. */
  until(expr: string, what: string): Promise<void>
  close(): Promise<void>
}

/** Longest wait for an alert, in ms. */
const PATIENCE_MS = 90_000

/** @param folder for its files; @param ports of the metrics of the servers */
export async function startPrometheus(folder: string, ports: readonly number[]): Promise<Prometheus> {
  const read = (name: string) => readFile(join(MONITORING, name), 'utf8')
  const targets = ports.map(port => `'127.0.0.1:${port}'`).join(', ')
  const config = (await read('prometheus.yaml'))
    .replace(/scrape_interval: \w+/, 'scrape_interval: 1s\n  evaluation_interval: 1s')
    .replace(/targets: \[.*\]/, `targets: [${targets}]`)
  await writeFile(join(folder, 'prometheus.yaml'), config)
  await writeFile(join(folder, 'alerts.yaml'), hurry(await read('alerts.yaml')))
  const port = await freePort()
  const log = openSync(join(folder, 'prometheus.log'), 'a')
  const child = spawn(
    PROGRAM,
    [
      `--config.file=${folder}/prometheus.yaml`,
      `--storage.tsdb.path=${folder}/prometheus`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    { stdio: ['ignore', log, log] },
  )
  const failed = new Promise<never>((_, reject) => child.once('error', reject))
  const ask = async (path: string, query: Record<string, string>): Promise<Series[]> => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}?${new URLSearchParams(query)}`)
    const body = (await response.json()) as {
      readonly error?: string
      readonly data?: { readonly result: readonly (Series & { readonly value?: Series['values'][number] })[] }
    }
    if (!body.data) throw new Error(`${query.query}: ${body.error}`)
    return body.data.result.map(({ metric, value, values }) => ({ metric, values: value ? [value] : values }))
  }
  const now = (expr: string) => ask('query', { query: expr })
  const isUp = () =>
    now('up').then(
      series => series.length === ports.length,
      () => false,
    )
  await Promise.race([failed, waitUntil(isUp, 'Prometheus to scrape the servers')])
  return {
    now,
    range: (expr, from, to) =>
      ask('query_range', { query: expr, start: String(from), end: String(to), step: '1' }),
    async until(expr, what) {
      await waitUntil(async () => (await now(expr)).length > 0, what, PATIENCE_MS)
    },
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      await exit
    },
  }
}
