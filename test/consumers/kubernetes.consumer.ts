import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createManifestSchemas, type ManifestSchemas } from '../support/manifest-schemas.js'
import { type Manifest, readManifests } from '../support/manifests.js'

let schemas: ManifestSchemas
let manifests: Manifest[]
beforeAll(async () => {
  schemas = await createManifestSchemas()
  manifests = await readManifests()
})
afterAll(() => schemas.close())

describe('the manifests of deploy/kubernetes', () => {
  it('have values that their schemas allow', async () => {
    expect(manifests.length).toBe(6)
    await schemas.validate(manifests)
  })

  it('have no fields that their schemas do not have', async () => {
    expect(await schemas.compile(manifests)).toBe('')
  })

  it('would be refused with a wrong value or field', async () => {
    const budget = manifests.find(({ kind }) => kind === 'PodDisruptionBudget') as Manifest
    await expect(schemas.validate([{ ...budget, spec: { maxUnavailable: true } }])).rejects.toThrow(
      'maxUnavailable',
    )
    expect(await schemas.compile([{ ...budget, spec: { maxUnavailables: 1 } }])).toContain('maxUnavailables')
  })
})
