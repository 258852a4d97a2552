import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { hurry } from './hurry.js'
import type { Prometheus } from './prometheus.js'

const FILE = resolve(import.meta.dirname, '../../deploy/monitoring/dashboard.json')

interface PanelJson {
  readonly type: string
  readonly title: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly fieldConfig?: { readonly defaults: { readonly unit: string; readonly max?: number } }
  readonly targets?: readonly { readonly expr: string; readonly legendFormat?: string }[]
}

/** One line of a panel: a value for each second, null where there is none. */
export interface Line {
  readonly label: string
  readonly values: readonly (number | null)[]
}

export interface Query {
  /** As it is in the dashboard. */
  readonly expr: string
  readonly lines: readonly Line[]
}

/** A panel with what it shows over the day. */
export interface PanelData {
  readonly kind: 'row' | 'stat' | 'timeseries'
  readonly title: string
  readonly unit: string
  readonly gridPos: PanelJson['gridPos']
  readonly queries: readonly Query[]
}

/** What the dashboard of deploy/monitoring shows from `from` to `to`, both in whole seconds since 1970. */
export async function readDashboard(
  prometheus: Prometheus,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<PanelData[]> {
  const { panels } = JSON.parse(await readFile(FILE, 'utf8')) as { readonly panels: readonly PanelJson[] }
  return Promise.all(
    panels.map(async ({ type, title, gridPos, fieldConfig, targets = [] }) => ({
      kind: type as PanelData['kind'],
      title,
      unit: fieldConfig?.defaults.unit ?? '',
      gridPos,
      queries: await Promise.all(
        targets.map(async ({ expr, legendFormat = '' }) => {
          const series = await prometheus.range(hurry(expr.replaceAll('$instance', '.*')), from, to)
          const lines = series.map(({ metric, values }) => {
            const at = new Map(values.map(([second, value]) => [second, Number(value)]))
            return {
              label: legendFormat.replace(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? ''),
              values: Array.from({ length: to - from + 1 }, (_, i) => finite(at.get(from + i))),
            }
          })
          return { expr, lines }
        }),
      ),
    })),
  )
}

const finite = (value: number | undefined) => (value !== undefined && Number.isFinite(value) ? value : null)
