import type { CodegenConfig } from '@graphql-codegen/cli'
import { codegenConfig } from './src/codegen/index.js'

/** Typed documents for the tests, from the printed schema: `npm run codegen`. The output is committed, and CI checks that it is fresh. */
const config: CodegenConfig = codegenConfig({
  schema: 'schema/schema.graphql',
  documents: ['test/**/*.ts', '!test/support/graphql/**', '!test/{client,e2e/clients}/**'],
  out: 'test/support/graphql/',
  importExtension: '.js', // nodenext resolves nothing without it
})

export default config
