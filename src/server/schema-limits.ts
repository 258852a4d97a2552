import { getHeapStatistics } from 'node:v8'
import type { SchemaLimits } from '../../schema/index.js'
import type { Settings } from '../config/index.js'

/** Most memory of all clients together, in bytes. */
export function mostClientMemory({ maxClientMemory }: Pick<Settings, 'maxClientMemory'>): number {
  return maxClientMemory ?? Math.floor(getHeapStatistics().heap_size_limit / 2)
}

/** The limits that the schema checks. */
export function schemaLimits(settings: Settings): SchemaLimits {
  return {
    rows: settings.maxRows,
    liveRows: settings.maxLiveRows,
    relatedRows: settings.maxRelatedRows,
    relationDepth: settings.maxRelationDepth,
    relations: settings.maxRelations,
    filter: {
      depth: settings.maxFilterDepth,
      conditions: settings.maxFilterConditions,
      values: settings.maxFilterValues,
      length: settings.maxFilterText,
    },
  }
}
