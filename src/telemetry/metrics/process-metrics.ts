import { counter, gauge, histogram } from './metric.js'

/** The process, under the names that other programs on Node use, so that their dashboards fit. */
export const PROCESS_METRICS = {
  listenql_build_info: gauge('Always 1; the labels are the versions', {
    version: 'of listenql',
    node: 'of Node',
  }),
  process_start_time_seconds: gauge('When the process began, in seconds since 1970'),
  process_cpu_seconds_total: counter('Processor time of the process'),
  process_resident_memory_bytes: gauge('Resident memory of the process'),
  nodejs_heap_size_used_bytes: gauge('Part of the heap of V8 that is in use'),
  nodejs_heap_size_total_bytes: gauge('Size of the heap of V8'),
  nodejs_heap_size_limit_bytes: gauge('Limit of the heap of V8 (--max-old-space-size of Node)'),
  nodejs_external_memory_bytes: gauge('Memory of buffers outside the heap'),
  nodejs_eventloop_lag_mean_seconds: gauge('Mean delay of the event loop since metrics were last read'),
  nodejs_eventloop_lag_p50_seconds: gauge('Median delay of the event loop since metrics were last read'),
  nodejs_eventloop_lag_p99_seconds: gauge(
    '99th percentile of the delay of the event loop since metrics were last read',
  ),
  nodejs_eventloop_lag_max_seconds: gauge('Longest delay of the event loop since metrics were last read'),
  nodejs_gc_duration_seconds: histogram(
    'Time of garbage collections',
    [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1],
    { kind: '`minor`, `major`, `incremental`, `weakcb`' },
  ),
}
