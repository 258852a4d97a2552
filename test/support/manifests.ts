import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parse } from 'yaml'

export const KUBERNETES = resolve(import.meta.dirname, '../../deploy/kubernetes')

export interface Manifest {
  readonly file: string
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels: Record<string, string> }
  /** As in YAML: each kind has other fields. */
  readonly [field: string]: unknown
}

/** The manifests of deploy/kubernetes, in the order of its kustomization. */
export async function readManifests(): Promise<Manifest[]> {
  const read = async (file: string) => parse(await readFile(join(KUBERNETES, file), 'utf8'))
  const { resources } = (await read('kustomization.yaml')) as { resources: string[] }
  return Promise.all(resources.map(async file => ({ file, ...(await read(file)) })))
}
