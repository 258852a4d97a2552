import type { StatusBody } from '../../server/inspection/status-body.js'

export interface ScreenSize {
  readonly columns: number
  readonly rows: number
}

/** Most rows of each list, where the screen has room. */
const MOST = 10

/** The state of a server as lines of text that fit on a screen. */
export function screenOf(status: StatusBody, url: string, { columns, rows }: ScreenSize): string[] {
  const { instance, connections, groups, liveQueries, log } = status
  const transports = Object.entries(connections.byTransport)
    .filter(([, open]) => open > 0)
    .map(([name, open]) => `${name} ${open}`)
  const head = [
    `listenql ${instance.version} at ${url}, up ${duration(instance.uptimeSeconds)}, pid ${instance.pid}, Node ${instance.node}`,
    status.ready
      ? 'ready'
      : `NOT READY: ${status.notReady.map(({ part, reason }) => `${part} (${reason})`).join('; ')}`,
    `connections ${connections.open}${transports.length > 0 ? ` (${transports.join(', ')})` : ''}   groups ${groups.open}, subscribers ${groups.subscribers}   live queries ${liveQueries.open}`,
    log
      ? `event log ${bytes(log.bytes)}${log.oldestSeconds === undefined ? '' : `, oldest event ${duration(log.oldestSeconds)} ago`}, not dispatched: ${log.lagEvents} events, ${duration(log.lagSeconds)}`
      : 'event log: none, or not read',
  ]
  const sections = [
    table(
      'Slowest connections',
      ['waiting', 'blocked', 'transport', 'client', 'topics'],
      [
        ...status.slowest.map(one => [
          bytes(one.waitingBytes),
          duration(one.blockedSeconds),
          one.transport,
          one.remote,
          one.topics.join(' '),
        ]),
      ],
    ),
    table(
      'Events a second',
      ['per second', 'topic'],
      [
        ...status.hottest.tables.map(one => [one.perSecond.toFixed(1), one.name]),
        ...status.hottest.channels.map(one => [one.perSecond.toFixed(1), `channel ${one.name}`]),
      ],
    ),
    table(
      'Groups',
      ['subscribers', 'kind', 'topic'],
      [...groups.largest.map(one => [String(one.subscribers), one.kind, one.topic])],
    ),
    table(
      'Live queries by time',
      ['seconds', 'reads', 'last', 'rows', 'every', 'table'],
      [
        ...liveQueries.costliest.map(one => [
          one.seconds.toFixed(2),
          String(one.reads),
          duration(one.lastSeconds),
          String(one.rows),
          duration(one.everySeconds),
          one.table,
        ]),
      ],
    ),
  ].filter(lines => lines.length > 0)
  const room = Math.max(
    1,
    Math.floor((rows - head.length - 3 * sections.length) / Math.max(1, sections.length)),
  )
  const lines = [...head, ...sections.flatMap(section => ['', ...section.slice(0, 2 + Math.min(room, MOST))])]
  return lines.slice(0, rows).map(line => clean(line).slice(0, columns))
}

/** Names of channels and tables may contain control characters, which a terminal would obey. */
function clean(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '?')
}

/** A title, a line of names, and a line for each row; nothing if there is no row. */
function table(title: string, names: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return []
  const widths = names.map((name, i) => Math.max(name.length, ...rows.map(row => clean(row[i] ?? '').length)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i === cells.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd()
  return [title, line(names), ...rows.map(line)]
}

/** 1.5 MiB */
export function bytes(count: number): string {
  let value = count
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (value < 1024 || unit === 'GiB') return `${unit === 'B' ? value : value.toFixed(1)} ${unit}`
    value /= 1024
  }
  return String(count)
}

/** 0.2 s, 3 min, 2 h, 5 d */
export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds < 10 ? Math.round(seconds * 100) / 100 : Math.round(seconds)} s`
  const minutes = seconds / 60
  if (minutes < 60) return `${Math.round(minutes)} min`
  return minutes < 48 * 60 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / (24 * 60))} d`
}
