import { type ClientOptions, StressClient } from './client.js'
import { ALL, NEWS, ORDERS, PEOPLE, RARE, TOPICS, type TopicSpec } from './topics.js'

/** The clients of a run. For each topic, a client that follows it from the start comes first. */
export function createCast(
  options: Pick<ClientOptions, 'origin' | 'servers' | 'complain'> & {
    readonly random: (actor: string) => ClientOptions['random']
  },
): StressClient[] {
  const { random, ...common } = options
  const create = (topic: TopicSpec, name: string, habits: Pick<ClientOptions, 'view' | 'stay' | 'anew'>) => {
    const full = `${topic.name}, ${name}`
    return new StressClient({ ...common, ...habits, topic, name: full, random: random(full) })
  }
  const steady = TOPICS.map(topic => create(topic, 'steady', { view: ALL, stay: 15_000, anew: 0 }))
  const restless = TOPICS.flatMap(topic =>
    Array.from({ length: topic === RARE || topic === NEWS ? 2 : 3 }, (_, i) =>
      create(topic, `restless ${i + 1}`, { view: ALL, stay: 1500 * (i + 1), anew: 0 }),
    ),
  )
  const forgetful = [PEOPLE, ORDERS].flatMap(topic =>
    topic.views.flatMap((view, i) => [
      create(topic, `${view.name}, anew`, { view, stay: 2500 + 300 * i, anew: 0.25 }),
    ]),
  )
  const faithful = [PEOPLE, ORDERS].flatMap(topic =>
    topic.views.slice(1).map(view => create(topic, `${view.name}, faithful`, { view, stay: 4000, anew: 0 })),
  )
  return [...steady, ...restless, ...forgetful, ...faithful]
}
