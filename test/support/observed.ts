import type { Observation } from '../../src/index.js'

type OfType<T extends Observation['type']> = Extract<Observation, { type: T }>

/** Records the observations of a server, and waits for further ones. */
export interface Observed {
  /** For `createServer`. */
  readonly observe: (observation: Observation) => void
  all<T extends Observation['type']>(type: T, fields?: Partial<OfType<T>>): OfType<T>[]
  /** Resolves once `count` observations of this type have these fields, counted from the start. */
  until<T extends Observation['type']>(type: T, fields?: Partial<OfType<T>>, count?: number): Promise<void>
}

/** @param deadline maximum wait in ms */
export function createObserved(deadline = 15_000): Observed {
  const observations: Observation[] = []
  const waiting = new Set<() => void>()

  function all<T extends Observation['type']>(type: T, fields: Partial<OfType<T>> = {}): OfType<T>[] {
    const wanted = Object.entries(fields)
    return observations.filter(
      (one): one is OfType<T> =>
        one.type === type && wanted.every(([key, value]) => one[key as keyof Observation] === value),
    )
  }

  return {
    observe(observation) {
      observations.push(observation)
      for (const check of [...waiting]) check()
    },
    all,
    until(type, fields = {}, count = 1) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(check)
          const seen = `saw ${all(type, fields).length} of ${count}`
          reject(new Error(`waited ${deadline} ms for ${type} ${JSON.stringify(fields)}: ${seen}`))
        }, deadline)
        const check = () => {
          if (all(type, fields).length < count) return
          clearTimeout(timer)
          waiting.delete(check)
          resolve()
        }
        waiting.add(check)
        check()
      })
    },
  }
}
