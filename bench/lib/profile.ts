import { readFile } from 'node:fs/promises'
import { table } from './columns.js'

/** https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile: the parts that are read here. */
interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  /** In µs. */
  readonly timeDeltas: readonly number[]
}

/** The functions in which a server spent its time, without the functions they call, as shares of the time that it was busy. */
export async function topFunctions(file: string, most = 25): Promise<string> {
  const { nodes, samples, timeDeltas } = JSON.parse(await readFile(file, 'utf8')) as Profile
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const times = new Map<string, number>()
  let busy = 0
  samples.forEach((id, i) => {
    const frame = frames.get(id)
    if (!frame || frame.functionName === '(idle)') return
    if (frame.functionName === 'dispatch' && frame.url === '') return // the profiler itself
    const time = timeDeltas[i] ?? 0
    busy += time
    const place = frame.url === '' ? '' : `${shorten(frame.url)}:${frame.lineNumber + 1}`
    const name = `${frame.functionName || '(anonymous)'} ${place}`.trim()
    times.set(name, (times.get(name) ?? 0) + time)
  })
  const rows = [...times]
    .sort(([, a], [, b]) => b - a)
    .slice(0, most)
    .map(([name, time]) => [name, `${((100 * time) / busy).toFixed(1)} %`])
  return table(['function', 'of busy time'], rows)
}

function shorten(url: string): string {
  const at = Math.max(url.lastIndexOf('/node_modules/') + 1, url.lastIndexOf('/dist/') + 1)
  return at > 0 ? url.slice(at) : url
}
