import { constants, monitorEventLoopDelay, PerformanceObserver, performance } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import type { Metrics, Sample } from './metrics.js'

/** How often the delay of the event loop is measured, in ms. */
const RESOLUTION_MS = 20

const NS_PER_S = 1e9

const GC_KINDS: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
}

/** Reads memory, processor time, event loop and garbage collections of the process. @returns ends the measurements */
export function readProcess(metrics: Metrics, version: string): () => void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  let lag = { mean: 0, p50: 0, p99: 0, max: 0 }
  const collections = new PerformanceObserver(list => {
    for (const entry of list.getEntries()) {
      const { kind } = (entry as PerformanceEntry & { readonly detail: { readonly kind: number } }).detail
      metrics.record('nodejs_gc_duration_seconds', [GC_KINDS[kind] ?? 'other'], entry.duration / 1000)
    }
  })
  collections.observe({ entryTypes: ['gc'] })

  metrics.prepare(async () => {
    // The recorded times include the interval of the timer.
    const seconds = (ns: number) =>
      Math.max(0, (Number.isFinite(ns) ? ns : 0) / NS_PER_S - RESOLUTION_MS / 1000)
    lag = {
      mean: seconds(delay.mean),
      p50: seconds(delay.percentile(50)),
      p99: seconds(delay.percentile(99)),
      max: delay.count > 0 ? seconds(delay.max) : 0,
    }
    delay.reset()
  })
  metrics.read('nodejs_eventloop_lag_mean_seconds', () => one(lag.mean))
  metrics.read('nodejs_eventloop_lag_p50_seconds', () => one(lag.p50))
  metrics.read('nodejs_eventloop_lag_p99_seconds', () => one(lag.p99))
  metrics.read('nodejs_eventloop_lag_max_seconds', () => one(lag.max))
  metrics.read('nodejs_heap_size_used_bytes', () => one(process.memoryUsage().heapUsed))
  metrics.read('nodejs_heap_size_total_bytes', () => one(process.memoryUsage().heapTotal))
  metrics.read('nodejs_heap_size_limit_bytes', () => one(getHeapStatistics().heap_size_limit))
  metrics.read('nodejs_external_memory_bytes', () => one(process.memoryUsage().external))
  metrics.read('process_resident_memory_bytes', () => one(process.memoryUsage.rss()))
  metrics.read('process_start_time_seconds', () => one(performance.timeOrigin / 1000))
  metrics.read('process_cpu_seconds_total', () => {
    const { user, system } = process.cpuUsage()
    return one((user + system) / 1e6)
  })
  metrics.read('listenql_build_info', () => [{ labels: [version, process.versions.node], value: 1 }])
  return () => {
    delay.disable()
    collections.disconnect()
  }
}

/** The only sample of a metric without labels. */
export function one(value: number): readonly Sample[] {
  return [{ labels: [], value }]
}
