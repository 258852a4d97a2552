import { expect } from 'vitest'
import type { Chapter } from '../chapter.js'
import { ask } from '../requests.js'
import { tokenFor } from '../staff.js'

export const OPENING: Chapter = {
  title: 'the servers have watched the tables of `Tables`, and clients see what their policies show',
  async run(day) {
    const token = await tokenFor(day, 'visitor', 'north')
    const { body } = await ask(day.entrance, '{ watchedTables { name } channels }', token)
    const { data } = JSON.parse(body)
    expect(data.watchedTables.map(({ name }: { name: string }) => name).sort()).toEqual([
      'orders',
      'products',
    ])
    expect(data.channels).toEqual(['news'])
    const stranger = await ask(day.entrance, '{ channels }', token, { origin: 'https://elsewhere.example' })
    expect(stranger.status).toBe(403)
    return `${data.watchedTables.length} tables are watched, the standby confirms each commit`
  },
}

export const LOAD: Chapter = {
  title: 'the application writes',
  async run(day, { writers, recorders, screens }) {
    await writers.more(300)
    await day.prometheus.until(
      `sum(listenql_subscriptions) >= ${recorders.length + 3 * screens.length}`,
      'all clients to be connected',
    )
    return `${writers.confirmed.size} transactions, ${recorders.length} clients at the level of the protocol, ${screens.length} with listenql/client`
  },
}
