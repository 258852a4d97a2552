import { readFileSync } from 'node:fs'
import { buildSchema, introspectionFromSchema } from 'graphql'
import type { Introspection } from '../../src/client/cache/tables-of.js'

/** Returns the introspection of the demo's schema, with the tables `people` and `visits`. */
export function demoIntrospection(): Introspection {
  return introspectionFromSchema(buildSchema(readFileSync('schema/schema.graphql', 'utf8'))) as Introspection
}
