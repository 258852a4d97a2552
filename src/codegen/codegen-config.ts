import { SCALAR_TYPES } from './scalar-types.js'

export interface CodegenOptions {
  /** URL of the server, path of a file, or SDL. Default: `http://localhost:7700/graphql`. */
  readonly schema?: string
  /** Glob patterns of the files that contain operations. Default: the TypeScript files below `src`. */
  readonly documents?: readonly string[]
  /** The folder of the generated files. Default: `src/gql/`. */
  readonly out?: string
  /** What imports of the generated files end with: `.js` where TypeScript resolves modules as Node does. Default: nothing. */
  readonly importExtension?: '' | '.js'
}

/** Satisfies `CodegenConfig` of `@graphql-codegen/cli`. */
export interface GeneratedConfig {
  schema: string
  documents: string[]
  ignoreNoDocuments: true
  generates: Record<
    string,
    {
      preset: 'client'
      presetConfig: { fragmentMasking: false }
      config: {
        scalars: Record<string, { input: string; output: string }>
        strictScalars: true
        useTypeImports: true
        emitLegacyCommonJSImports: false
        importExtension: '' | '.js'
      }
    }
  >
}

/**
 * A configuration of GraphQL Code Generator with its client preset: `graphql()`, which types the operations of an application, and the
 * types of listenql's scalars. Change what you like in the result.
 */
export function codegenConfig({
  schema = 'http://localhost:7700/graphql',
  documents = ['src/**/*.{ts,tsx}'],
  out = 'src/gql/',
  importExtension = '',
}: CodegenOptions = {}): GeneratedConfig {
  return {
    schema,
    documents: [...documents],
    ignoreNoDocuments: true, // `graphql()` must exist before the first operation can be written
    generates: {
      [out.endsWith('/') ? out : `${out}/`]: {
        preset: 'client',
        presetConfig: { fragmentMasking: false },
        config: {
          scalars: { ...SCALAR_TYPES },
          strictScalars: true,
          useTypeImports: true,
          emitLegacyCommonJSImports: false,
          importExtension,
        },
      },
    },
  }
}
