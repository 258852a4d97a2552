import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const root = join(import.meta.dirname, '../..')

/*
 * Grafana publishes the schema of dashboards as types. Their enums are those of TypeScript, whose values JSON has as texts and numbers.
 */
const TYPES = `
import type { Dashboard, DataQuery, GraphFieldConfig, Panel, RowPanel } from '@grafana/schema'
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen'
import type { Options as TimeSeriesOptions } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen'

type Plain<T> = T extends string ? \`\${T}\` : T extends readonly (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T
type Loose<T> = T extends readonly (infer U)[] ? Loose<U>[] : T extends object ? { [K in keyof T]?: Loose<T[K]> } : T

type Common = Omit<Plain<Panel>, 'type' | 'options' | 'fieldConfig' | 'targets'>
  & { targets: (Pick<DataQuery, 'refId' | 'datasource'> & { expr: string; legendFormat?: string })[] }
type Drawn<Name, Options, Custom> = Common & { type: Name; options: Loose<Plain<Options>>;
  fieldConfig: { overrides: never[]; defaults: Omit<NonNullable<Plain<Panel>['fieldConfig']>['defaults'], 'custom'> & { custom?: Loose<Plain<Custom>> } } }
type Row = Plain<RowPanel>
type Checked = Omit<Plain<Dashboard>, 'panels'> & {
  panels: (Row | Drawn<'stat', StatOptions, never> | Drawn<'timeseries', TimeSeriesOptions, GraphFieldConfig>)[]
}
export const dashboard = DASHBOARD satisfies Checked
`

/** Compiles a dashboard against the types. @returns the complaints of the compiler */
async function complaints(json: string): Promise<string> {
  // Within the checkout, where the compiler finds the package.
  const folder = await mkdtemp(join(root, 'node_modules/.dashboard-'))
  try {
    await writeFile(
      join(folder, 'dashboard.ts'),
      TYPES.replace('DASHBOARD', () => json.trim()),
    )
    const tsc = join(root, 'node_modules/.bin/tsc')
    const flags = [
      '--ignoreConfig',
      '--noEmit',
      '--pretty',
      'false',
      '--strict',
      '--skipLibCheck',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--types',
      '',
    ]
    return await promisify(execFile)(tsc, [...flags, join(folder, 'dashboard.ts')], { cwd: folder }).then(
      () => '',
      ({ stdout }: { stdout: string }) => stdout,
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

it('the dashboard fits the schema that Grafana publishes', { timeout: 120_000 }, async () => {
  const json = await readFile(join(root, 'deploy/monitoring/dashboard.json'), 'utf8')
  expect(await complaints(json)).toBe('')
  for (const [right, wrong] of [
    ['"showPoints": "never"', '"showPoints": "sometimes"'],
    ['"graphTooltip": 1', '"graphTooltip": 7'],
    ['"gridPos": {', '"grid": {'],
    ['"legendFormat"', '"legend"'],
  ] as const) {
    expect(json).toContain(right)
    expect(await complaints(json.replace(right, wrong)), wrong).toContain('error TS')
  }
})
