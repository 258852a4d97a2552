import type { PushMetricExporter } from '@opentelemetry/sdk-metrics'
import { messageOf } from '../../lib/errors.js'
import type { Failure, Observe } from '../../lib/observation.js'
import type { Metrics } from './metrics.js'
import { toOtlp } from './otlp-data.js'

type Environment = Readonly<Record<string, string | undefined>>

export interface OtlpOptions {
  readonly metrics: Metrics
  readonly version: string
  /** Default: that of the process. */
  readonly env?: Environment
  /** Loads the packages. Default: imports them. */
  readonly load?: () => Promise<Packages>
  readonly observe: Observe
}

export interface OtlpExport {
  /** Sends the last values. */
  close(): Promise<void>
}

const ENDPOINTS = ['OTEL_EXPORTER_OTLP_METRICS_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'] as const

/** The variable that asks to send metrics by OTLP. Undefined: none does. */
export function otlpEndpoint(env: Environment = process.env): string | undefined {
  if (env.OTEL_SDK_DISABLED === 'true' || env.OTEL_METRICS_EXPORTER === 'none') return undefined
  return ENDPOINTS.find(name => env[name])
}

type Packages = readonly [
  api: typeof import('@opentelemetry/api'),
  sdk: typeof import('@opentelemetry/sdk-metrics'),
  resources: typeof import('@opentelemetry/resources'),
  exporter: typeof import('@opentelemetry/exporter-metrics-otlp-http'),
]

/** The packages that send metrics. They are no dependencies of listenql, because they take more space than the rest of it. */
const PACKAGES =
  '@opentelemetry/sdk-metrics @opentelemetry/resources @opentelemetry/exporter-metrics-otlp-http'

/** Defaults of https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/, in ms. */
const INTERVAL_MS = 60_000
const TIMEOUT_MS = 30_000
/** Longest that a stopping server waits for the last export, in ms. */
const LAST_EXPORT_MS = 2000

/**
 * Sends the metrics by OTLP over HTTP, if a variable of OpenTelemetry names where to. The exporter reads the other OTEL_* variables. A
 * failure is reported and never stops the server.
 * @returns undefined: metrics are not sent
 */
export async function startOtlp(options: OtlpOptions): Promise<OtlpExport | undefined> {
  const { env = process.env, observe } = options
  const given = otlpEndpoint(env)
  if (given === undefined) return undefined
  try {
    return await connect(options, env)
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'
    const failure: Failure = isMissing
      ? {
          message: `${given} is set, but the packages that send metrics are not installed`,
          hint: `npm install ${PACKAGES}`,
        }
      : { message: messageOf(error) }
    observe({ type: 'metrics.unexported', ...failure })
    return undefined
  }
}

function loadPackages(): Promise<Packages> {
  return Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-metrics'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/exporter-metrics-otlp-http'),
  ])
}

async function connect(
  { metrics, version, load = loadPackages, observe }: OtlpOptions,
  env: Environment,
): Promise<OtlpExport> {
  const [api, sdk, resources, { OTLPMetricExporter }] = await load()
  const startedAt = Date.now()
  const resource = resources
    .resourceFromAttributes({ 'service.name': 'listenql', 'service.version': version })
    .merge(resources.detectResources({ detectors: [resources.envDetector] }))
  const exportIntervalMillis = millis(env.OTEL_METRIC_EXPORT_INTERVAL, INTERVAL_MS)
  const reader = new sdk.PeriodicExportingMetricReader({
    exporter: reporting(new OTLPMetricExporter(), message =>
      observe({ type: 'metrics.unexported', message }),
    ),
    exportIntervalMillis,
    exportTimeoutMillis: Math.min(exportIntervalMillis, millis(env.OTEL_METRIC_EXPORT_TIMEOUT, TIMEOUT_MS)),
    metricProducers: [
      {
        async collect() {
          const data = toOtlp(await metrics.collect(), startedAt, { ...sdk, ValueType: api.ValueType })
          return { resourceMetrics: { resource, ...data }, errors: [] }
        },
      },
    ],
  })
  const provider = new sdk.MeterProvider({ resource, readers: [reader] })
  return {
    // Its own failure has been reported.
    close: () => provider.shutdown({ timeoutMillis: LAST_EXPORT_MS }).catch(() => undefined),
  }
}

/** The SDK keeps the errors of an exporter to itself. */
function reporting(exporter: PushMetricExporter, failed: (message: string) => void): PushMetricExporter {
  return {
    export: (data, done) =>
      exporter.export(data, result => {
        if (result.error) failed(result.error.message || 'the export failed')
        done(result)
      }),
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  }
}

function millis(text: string | undefined, otherwise: number): number {
  const value = Number(text)
  return text?.trim() && Number.isInteger(value) && value > 0 ? value : otherwise
}
