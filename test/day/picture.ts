import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { launchChromium } from '../support/browser.js'
import type { PanelData } from './dashboard.js'

/** Width of the picture, and height of one unit of the grid, in pixels. */
const WIDTH = 1500
const UNIT = 30

/** Draws the panels as Grafana arranges them, with the library that Grafana draws with, into a PNG. */
export async function drawDashboard(
  panels: readonly PanelData[],
  { from, to }: { readonly from: number; readonly to: number },
  file: string,
): Promise<void> {
  const dist = join(dirname(createRequire(import.meta.url).resolve('uplot/package.json')), 'dist')
  const [script, style] = await Promise.all(
    ['uPlot.iife.min.js', 'uPlot.min.css'].map(name => readFile(join(dist, name), 'utf8')),
  )
  const data = JSON.stringify({ panels, from, to, width: WIDTH, unit: UNIT }).replaceAll('<', '\\u003c')
  const browser = await launchChromium()
  try {
    const page = await browser.newPage({ viewport: { width: WIDTH, height: 1000 } })
    const errors: Error[] = []
    page.on('pageerror', error => errors.push(error))
    await page.setContent(
      `<!doctype html><meta charset="utf-8"><style>${style}${STYLE}</style><body></body>
       <script>${script}</script><script>const DATA = ${data}; (${draw})(DATA, uPlot)</script>`,
    )
    if (errors[0]) throw errors[0]
    await page.screenshot({ path: file, fullPage: true })
  } finally {
    await browser.close()
  }
}

const STYLE = `
  body { margin: 0; background: #f4f5f5; font: 12px system-ui, sans-serif; position: relative }
  section { position: absolute; box-sizing: border-box; background: #fff; border: 1px solid #ddd; padding: 6px; overflow: hidden }
  section.row { background: none; border: none; font-size: 15px }
  h2 { font: 600 13px system-ui, sans-serif; margin: 0 0 2px }
  .value { font-size: 30px; text-align: center; color: #299c46 }
  .u-legend { text-align: left; font-size: 11px } .u-legend .u-value { display: none }
`

interface Drawing {
  readonly panels: readonly PanelData[]
  readonly from: number
  readonly to: number
  readonly width: number
  readonly unit: number
}

/** Runs in the browser, so it may use nothing of this module. */
function draw(
  { panels, from, to, width, unit }: Drawing,
  UPlot: new (options: unknown, data: unknown, parent: unknown) => unknown,
): void {
  const COLOURS = [
    '#7EB26D',
    '#EAB839',
    '#6ED0E0',
    '#EF843C',
    '#E24D42',
    '#1F78C1',
    '#BA43A9',
    '#705DA0',
    '#508642',
    '#CCA300',
  ]
  const scaled = (value: number, base: number, names: readonly string[], suffix = '') => {
    let i = 0
    for (; Math.abs(value) >= base && i < names.length - 1; i++) value /= base
    return `${Number(value.toPrecision(3))} ${names[i]}${suffix}`.trim()
  }
  const FORMATS: Record<string, (value: number) => string> = {
    s: value =>
      value !== 0 && value < 1
        ? `${Number((value * 1000).toPrecision(3))} ms`
        : `${Number(value.toPrecision(3))} s`,
    bytes: value => scaled(value, 1024, ['B', 'KiB', 'MiB', 'GiB']),
    Bps: value => scaled(value, 1000, ['B/s', 'kB/s', 'MB/s']),
    eps: value => scaled(value, 1000, ['', 'K'], ' evt/s'),
    mps: value => scaled(value, 1000, ['', 'K'], ' msg/s'),
    percentunit: value => `${Number((value * 100).toPrecision(3))}%`,
    short: value => scaled(value, 1000, ['', 'K', 'Mil']),
  }
  const { document } = globalThis as unknown as { document: BrowserDocument }
  const cell = width / 24
  const times = Array.from({ length: to - from + 1 }, (_, i) => from + i)
  let bottom = 0
  for (const { kind, title, unit: name, gridPos, queries } of panels) {
    const box = document.createElement('section')
    const [w, h] = [gridPos.w * cell - 6, gridPos.h * unit - 6]
    box.className = kind
    box.style.cssText = `left:${gridPos.x * cell + 3}px;top:${gridPos.y * unit + 3}px;width:${w}px;height:${h}px`
    bottom = Math.max(bottom, (gridPos.y + gridPos.h) * unit)
    const heading = document.createElement('h2')
    heading.textContent = title
    box.append(heading)
    document.body.append(box)
    const format = FORMATS[name] ?? String
    const lines = queries.flatMap(query => query.lines)
    if (kind === 'stat') {
      const values = lines[0]?.values ?? []
      const last = values.findLast(value => value !== null)
      const text = document.createElement('div')
      text.className = 'value'
      text.textContent = last === undefined || last === null ? 'No data' : format(last)
      box.append(text)
    }
    if (kind === 'row') continue
    const isSmall = kind === 'stat'
    const series = lines.map(({ label }, i) => ({
      label,
      stroke: COLOURS[i % COLOURS.length],
      fill: `${COLOURS[i % COLOURS.length]}1a`,
      width: 1,
      points: { show: false },
    }))
    // uPlot draws into what the legend leaves, whose lines have room for so many characters.
    const legendLines = isSmall
      ? 0
      : Math.ceil(lines.reduce((sum, { label }) => sum + label.length * 7 + 32, 0) / (w - 40))
    const minutes = (_: unknown, seconds: number[]) =>
      seconds.map(at => `${Math.floor((at - from) / 60)}:${String((at - from) % 60).padStart(2, '0')}`)
    const grid = { stroke: '#eee' }
    new UPlot(
      {
        width: w - 14,
        height: isSmall ? h - 70 : h - 30 - 20 * legendLines,
        cursor: { show: false },
        legend: { show: !isSmall, live: false },
        scales: {
          x: { time: false },
          y: { range: (_: unknown, _min: number, max: number) => [0, max > 0 ? max * 1.05 : 1] },
        },
        axes: [
          { show: !isSmall, grid, values: minutes, incrs: [30, 60, 120] },
          { show: !isSmall, grid, size: 84, values: (_: unknown, ticks: number[]) => ticks.map(format) },
        ],
        series: [{}, ...series],
      },
      [times, ...lines.map(({ values }) => values)],
      box,
    )
  }
  document.body.style.cssText = `height:${bottom}px`
}

interface BrowserElement {
  className: string
  textContent: string
  readonly style: { cssText: string }
  append(child: BrowserElement): void
}

interface BrowserDocument {
  readonly body: BrowserElement
  createElement(name: string): BrowserElement
}
