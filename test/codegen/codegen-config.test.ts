import type { CodegenConfig } from '@graphql-codegen/cli'
import { expect, it } from 'vitest'
import { SCALAR_NAMES } from '../../schema/scalars.js'
import { codegenConfig } from '../../src/codegen/codegen-config.js'

it('is a configuration of GraphQL Code Generator, with the defaults of `listenql codegen`', () => {
  const config: CodegenConfig = codegenConfig()
  expect(config).toMatchObject({
    schema: 'http://localhost:7700/graphql',
    documents: ['src/**/*.{ts,tsx}'],
    generates: { 'src/gql/': { preset: 'client', config: { importExtension: '' } } },
  })
})

it('has a type for each scalar, since strictScalars refuses schemas with another one', () => {
  const [generated] = Object.values(codegenConfig().generates)
  expect(Object.keys(generated?.config.scalars ?? {}).sort()).toEqual([...SCALAR_NAMES].sort())
  expect(generated?.config.strictScalars).toBe(true)
})

it('takes a folder with or without a slash at its end, which the preset needs', () => {
  expect(Object.keys(codegenConfig({ out: 'app/gql' }).generates)).toEqual(['app/gql/'])
  expect(Object.keys(codegenConfig({ out: 'app/gql/' }).generates)).toEqual(['app/gql/'])
})

it('can be changed without changing that of others', () => {
  const config = codegenConfig()
  config.documents.push('more')
  for (const { config: own } of Object.values(config.generates))
    own.scalars.UUID = { input: 'Id', output: 'Id' }
  expect(codegenConfig().documents).toHaveLength(1)
  expect(JSON.stringify(codegenConfig())).not.toContain('"Id"')
})
