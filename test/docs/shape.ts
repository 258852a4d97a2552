/**
 * A line of output without everything that differs from run to run: numbers, times, sizes, positions, paths and addresses. The tests
 * compare lines of the docs with lines of a program by this shape.
 */
export function shapeOf(line: string): string {
  return line
    .replace(/(https?:\/\/)?(localhost|127\.0\.0\.1|\[?::1\]?)(:\d+)?/g, 'HOST')
    .replace(/\/[\w./-]+\/\.listenql\b/g, 'DIRECTORY')
    .replace(/\d{4}-\d\d-\d\d[ T][\d:.]+(Z|[+-]\d\d(:\d\d)?)?/g, 'TIME')
    .replace(/(?<![\w-])[\w-]{60}(?![\w-])/g, 'POSITION')
    .replace(/version (N|\d+)/g, 'VERSION')
    .replace(/\d+(\.\d+)?( ?(kB|MB|GB|ms|s|min|h))?\b/g, '0')
    .replace(/-{2,}/g, '--')
    .replace(/\s+/g, ' ')
    .trim()
}

/** The lines of `documented` for which `printed` has no line of the same shape. */
export function missingLines(documented: string, printed: string): string[] {
  const shapes = new Set(printed.split('\n').map(shapeOf))
  return documented.split('\n').filter(line => line.trim() !== '' && !shapes.has(shapeOf(line)))
}
