import type { Context, Tracer } from '@opentelemetry/api'

/*
 * Spans through the API of OpenTelemetry, if the application has installed it. Like that API, this module has one state for the process:
 * spans go to the SDK that is registered. Without an SDK there are none (https://opentelemetry.io/docs/specs/otel/trace/api/).
 */

type Api = typeof import('@opentelemetry/api')

/** Not the type of the API: the types of listenql must not refer to a package that may be missing. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>

let api: Api | undefined
let tracer: Tracer | undefined

/**
 * Loads `@opentelemetry/api`. Before that, and where it is not installed, there are no spans.
 * @returns whether it is installed
 */
export async function loadTracing(version: string): Promise<boolean> {
  try {
    api ??= await import('@opentelemetry/api')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    return false
  }
  tracer ??= api.trace.getTracer('listenql', version)
  return true
}

/**
 * Runs work within a span, which ends with the work and records its error. Spans that the work begins are children of it.
 * @param name `listenql.` and what is done
 * @param attributes nothing that a viewer or client chooses freely: spans leave the process
 * @param options.isRoot the span has no parent, because the work serves many requests, not only the one that began it. Default: false
 */
export function inSpan<T>(
  name: string,
  attributes: SpanAttributes,
  work: () => Promise<T>,
  { isRoot: root = false } = {},
): Promise<T> {
  if (!api || !tracer) return work()
  const { SpanStatusCode } = api
  return tracer.startActiveSpan(name, { attributes, root }, async span => {
    try {
      return await work()
    } catch (error) {
      const { code = 'error' } = Object(error) as { code?: unknown }
      span.setStatus({ code: SpanStatusCode.ERROR, message: String(code) })
      throw error
    } finally {
      span.end()
    }
  })
}

/** Records a span for work that has ended. @param began when it began, of `performance.now()` */
export function noteSpan(name: string, attributes: SpanAttributes, began: number): void {
  const startTime = performance.timeOrigin + began
  tracer?.startSpan(name, { attributes, startTime, root: true }).end()
}

/** A trace that a client has begun: its headers `traceparent` and `tracestate` (https://www.w3.org/TR/trace-context/). */
export type TraceCarrier = Readonly<Record<string, unknown>>

/** The trace that the payload of `connection_init` names. Undefined: it names none, or there are no spans. */
export function traceOf(values: Readonly<Record<string, unknown>> | undefined): TraceCarrier | undefined {
  if (!api || typeof values?.traceparent !== 'string') return undefined
  const { traceparent, tracestate } = values
  return { traceparent, tracestate }
}

/** Runs work as a part of the trace of a client. If the client sent none, or an invalid one, the work runs without it. */
export function inTraceOf<T>(carrier: TraceCarrier | undefined, work: () => T): T {
  if (!api || typeof carrier?.traceparent !== 'string') return work()
  const { traceparent, tracestate } = carrier
  const known = { traceparent, ...(typeof tracestate === 'string' && { tracestate }) }
  const context: Context = api.propagation.extract(api.context.active(), known)
  return api.context.with(context, work)
}
