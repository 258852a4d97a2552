const DURATIONS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
}

/** `500ms`, `10s`, `2m`, `1h`, `1.5s` as milliseconds; undefined if the text is no duration. A number needs a unit. */
export function parseDuration(text: string): number | undefined {
  return parse(text, DURATIONS)
}

/** Milliseconds in the largest unit that needs no fraction: 120000 is `2m`. */
export function formatDuration(ms: number): string {
  return format(ms, DURATIONS) ?? '0s'
}

/** `16MiB`, `8MB`, `512 KiB`, `1048576` as bytes; undefined if the text is no size. The case of units does not matter. */
export function parseBytes(text: string): number | undefined {
  return /^\d+$/.test(text) ? parse(`${text}B`, BYTES) : parse(text, BYTES)
}

/** Bytes in the largest unit that needs no fraction, preferring binary ones: 16777216 is `16MiB`, 8000000 is `8MB`. */
export function formatBytes(bytes: number): string {
  const { B, KiB, MiB, GiB, ...decimal } = BYTES
  return format(bytes, { KiB, MiB, GiB } as Record<string, number>) ?? format(bytes, decimal) ?? String(bytes)
}

function parse(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(text.trim()) ?? []
  const [, factor] = Object.entries(units).find(([name]) => name.toLowerCase() === unit?.toLowerCase()) ?? []
  if (number === undefined || factor === undefined) return undefined
  const value = Number(number) * factor
  return Number.isSafeInteger(value) ? value : undefined
}

function format(value: number, units: Readonly<Record<string, number>>): string | undefined {
  if (value === 0) return undefined
  const fitting = Object.entries(units).filter(([, factor]) => value % factor === 0)
  const [unit, factor] = fitting.at(-1) ?? []
  return factor === undefined ? undefined : `${value / factor}${unit}`
}
