import type { CodegenConfig } from '@graphql-codegen/cli'

/** Typed documents for the tests, from the printed schema: `npm run codegen`. The output is committed, and CI checks that it is fresh. */
const config: CodegenConfig = {
  schema: 'schema/schema.graphql',
  documents: ['test/**/*.ts', '!test/support/graphql/**'],
  generates: {
    'test/support/graphql/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        importExtension: '.js', // nodenext resolves nothing without it
        emitLegacyCommonJSImports: false,
        useTypeImports: true, // verbatimModuleSyntax
        strictScalars: true,
        scalars: { BigInt: 'string', DateTime: 'string', Decimal: 'string', JSON: 'unknown' }, // as they arrive
      },
    },
  },
}

export default config
