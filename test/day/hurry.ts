/** The day is short: a minute of the rules and of the dashboard lasts 6 s here. */
export const SPEED = 10

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 }

/**
 * Divides the durations of rules and of expressions by `SPEED`: `for: 5m` becomes `for: 30s`, and `[15m]` becomes `[90s]`. Thresholds
 * stay as they are, also those that are rates for each second.
 */
export function hurry(text: string): string {
  return text.replace(
    /(\bfor: |\[)(\d+)([smh])(?=\]|\s|$)/g,
    (_, before: string, amount: string, unit: string) =>
      `${before}${(Number(amount) * (SECONDS[unit] as number)) / SPEED}s`,
  )
}
