/** The part of a table of bench/RESULTS.md that holds the instructions of writes: `| INSERT of one row | 131,000 | 145,000 | …`. */
export function readFigures(
  results: string,
  name: string,
): { readonly bare: number; readonly watched: number } {
  const line = results.split('\n').find(row => row.trim().startsWith(`${name} `) && row.includes('|'))
  const [, bare, , watched] = (line ?? '').split('|').map(cell => Number(cell.trim().replaceAll(',', '')))
  if (!bare || !watched) throw new Error(`bench/RESULTS.md has no figures for ${name}`)
  return { bare, watched }
}
