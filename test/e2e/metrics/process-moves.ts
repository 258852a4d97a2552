import { setImmediate } from 'node:timers/promises'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect } from 'vitest'
import type { PROCESS_METRICS } from '../../../src/telemetry/metrics/process-metrics.js'
import { version } from '../../../src/telemetry/version.js'
import { readValue, scrape } from '../../support/metrics.js'
import type { Move } from './world.js'

const kept: unknown[] = []

/** Keeps memory, which a metric notices. */
const atAllocation =
  (name: keyof typeof PROCESS_METRICS, allocate: () => unknown): Move =>
  async world =>
    world.moves(name, async () => kept.push(allocate()))

const objects = () => Array.from({ length: 1_000_000 }, (_, i) => ({ i, text: `text ${i}` }))
const bytes = () => Buffer.alloc(64 * 2 ** 20, 1)

/** Blocks the event loop again and again. */
async function block(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    for (const end = performance.now() + 100; performance.now() < end; );
    await setImmediate()
  }
}

/** The delays since the last scrape are those of `block`. */
const atBlock =
  (name: keyof typeof PROCESS_METRICS): Move =>
  async world => {
    const server = await world.server()
    await scrape(server)
    await block()
    expect(await readValue(server, name)).toBeGreaterThan(0.01)
  }

export const PROCESS_MOVES: Record<keyof typeof PROCESS_METRICS, Move> = {
  async listenql_build_info(world) {
    const labels = { version: version(), node: process.versions.node }
    expect(await readValue(await world.server(), 'listenql_build_info', labels)).toBe(1)
  },
  async process_start_time_seconds(world) {
    const started = performance.timeOrigin / 1000
    expect(await readValue(await world.server(), 'process_start_time_seconds')).toBeCloseTo(started, 3)
  },
  process_cpu_seconds_total: world => world.moves('process_cpu_seconds_total', block),
  process_resident_memory_bytes: atAllocation('process_resident_memory_bytes', bytes),
  nodejs_heap_size_used_bytes: atAllocation('nodejs_heap_size_used_bytes', objects),
  nodejs_heap_size_total_bytes: atAllocation('nodejs_heap_size_total_bytes', objects),
  async nodejs_heap_size_limit_bytes(world) {
    const limit = getHeapStatistics().heap_size_limit
    expect(await readValue(await world.server(), 'nodejs_heap_size_limit_bytes')).toBe(limit)
  },
  nodejs_external_memory_bytes: atAllocation('nodejs_external_memory_bytes', bytes),
  nodejs_eventloop_lag_mean_seconds: atBlock('nodejs_eventloop_lag_mean_seconds'),
  nodejs_eventloop_lag_p50_seconds: atBlock('nodejs_eventloop_lag_p50_seconds'),
  nodejs_eventloop_lag_p99_seconds: atBlock('nodejs_eventloop_lag_p99_seconds'),
  nodejs_eventloop_lag_max_seconds: atBlock('nodejs_eventloop_lag_max_seconds'),
  async nodejs_gc_duration_seconds(world) {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    await world.moves('nodejs_gc_duration_seconds', async () => collect(), { labels: { kind: 'major' } })
  },
}
