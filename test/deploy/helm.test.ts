import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { CHART_VALUES } from '../support/chart-values.js'
import { CHART } from '../support/helm.js'
import { KUBERNETES } from '../support/manifests.js'

// What can be checked without Helm. `npm run consumers` renders the chart (test/consumers/helm.consumer.ts).

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>
}

const read = (path: string) => readFileSync(join(CHART, path), 'utf8')
const values = parse(read('values.yaml')) as Record<string, unknown>
const schema = JSON.parse(read('values.schema.json')) as Schema
const templates = readdirSync(join(CHART, 'templates')).map(file => read(`templates/${file}`))
const used = new Set(templates.flatMap(text => text.match(/(?<=\.Values\.)\w+(?:\.\w+)*/g) ?? []))

/** The paths of all values in the schema: `image.tag`. Maps that are handed on as they are, and the options, are one value. */
function pathsOf({ properties }: Schema, prefix = ''): string[] {
  return Object.entries(properties ?? {}).flatMap(([name, inner]) =>
    inner.properties && name !== 'options'
      ? pathsOf(inner, `${prefix}${name}.`)
      : name === 'global' // Helm sets it where the chart is part of another one.
        ? []
        : [`${prefix}${name}`],
  )
}
const paths = pathsOf(schema)
const has = (object: unknown, path: string) =>
  path.split('.').reduce<unknown>((at, name) => (at as Record<string, unknown>)?.[name], object) !== undefined

describe('the chart', () => {
  it('has the version of the package, and so do the manifests', () => {
    const { version } = JSON.parse(readFileSync(resolve(CHART, '../../../package.json'), 'utf8'))
    expect(parse(read('Chart.yaml'))).toMatchObject({ version, appVersion: version })
    const { images } = parse(readFileSync(join(KUBERNETES, 'kustomization.yaml'), 'utf8'))
    expect(images[0].newTag).toBe(version)
  })

  it('has a default and a use for each value of its schema', () => {
    expect(paths.length).toBeGreaterThan(50)
    expect(paths.filter(path => !has(values, path))).toEqual([])
    expect(paths.filter(path => !used.has(path))).toEqual([])
  })

  it('has no other values, and its templates use no others', () => {
    const known = (object: unknown, prefix = ''): string[] =>
      paths.includes(prefix.slice(0, -1)) || typeof object !== 'object' || object === null
        ? [prefix.slice(0, -1)]
        : Object.entries(object).flatMap(([name, inner]) => known(inner, `${prefix}${name}.`))
    expect(known(values).sort()).toEqual([...paths].sort())
    expect([...used].filter(path => !paths.includes(path))).toEqual([])
  })

  it('is rendered with each value set by npm run consumers', () => {
    const sets = Object.values(CHART_VALUES)
    expect(paths.filter(path => !sets.some(set => has(set, path)))).toEqual([])
  })

  it('has the alert rules and the dashboard of deploy/monitoring', () => {
    const files = readdirSync(join(CHART, 'files')).sort()
    expect(files).toEqual(['alerts.yaml', 'dashboard.json'])
    for (const file of files)
      expect(read(`files/${file}`)).toBe(readFileSync(resolve(CHART, '../../monitoring', file), 'utf8'))
  })
})
