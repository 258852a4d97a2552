import { readFileSync } from 'node:fs'
import { buildSchema as parseSdl, validate, validateSchema } from 'graphql'
import { describe, expect, it } from 'vitest'
import { DEMO_TABLES } from '../../schema/demo-tables.js'
import { buildSchema } from '../../schema/index.js'
import { printSdl } from '../../schema/print.js'
import { channelEvents, listenable, sendNotify } from '../support/documents.js'

const committed = readFileSync(new URL('../../schema/schema.graphql', import.meta.url), 'utf8')

describe('schema/schema.graphql', () => {
  it('is what the schema prints; `npm run schema` regenerates it', () => {
    expect(committed).toBe(printSdl(DEMO_TABLES))
  })

  it('does not depend on the order in which the schema is built', () => {
    const sections = [...committed.matchAll(/^(?:type|scalar) (\w+)/gm)].map(([, name]) => name)
    expect(sections.length).toBeGreaterThan(3)
    expect(sections).toEqual([...sections].sort())
  })

  it('is equivalent to the schema: the typed documents are valid in both', () => {
    for (const schema of [parseSdl(committed), buildSchema()]) {
      expect(validateSchema(schema)).toEqual([])
      for (const document of [channelEvents, listenable, sendNotify]) {
        expect(document.definitions).toHaveLength(1) // seen by codegen
        expect(validate(schema, document)).toEqual([])
      }
    }
  })
})
