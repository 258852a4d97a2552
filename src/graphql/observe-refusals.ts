import type { GraphQLError } from 'graphql'
import { viewerName } from '../auth/viewer.js'
import { isRefusal } from '../lib/errors.js'
import type { Observe, OperationSummary } from '../lib/observation.js'
import type { Params } from './operation.js'

/** Most different refusals of one request that are observed. */
const MAX_REFUSALS = 5

/** Returns a function that observes the refusals among the errors of a result, each code and limit once, and returns the result. */
export function observeRefusals(observe: Observe = () => undefined) {
  return <Result extends { readonly errors?: readonly GraphQLError[] | undefined }>(
    { viewer, origin }: Pick<Params, 'viewer' | 'origin'>,
    result: Result,
    operation?: OperationSummary,
  ): Result => {
    if (!origin || !result.errors) return result
    const seen = new Set<string>()
    for (const { extensions } of result.errors) {
      const { code } = extensions
      const limit = typeof extensions.limit === 'string' ? extensions.limit : undefined
      const key = `${code} ${limit}`
      if (!isRefusal(code) || seen.has(key) || seen.size === MAX_REFUSALS) continue
      seen.add(key)
      observe({ type: 'operation.refused', ...origin, ...viewerName(viewer), code, limit, operation })
    }
    return result
  }
}
