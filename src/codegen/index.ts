/** `listenql/codegen`: TypeScript types for applications, by GraphQL Code Generator. */
export { type CodegenOptions, codegenConfig, type GeneratedConfig } from './codegen-config.js'
export { SCALAR_TYPES, type ScalarType } from './scalar-types.js'
