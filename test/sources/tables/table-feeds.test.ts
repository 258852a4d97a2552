import { expect, it } from 'vitest'
import { viewerKey } from '../../../src/auth/viewer.js'
import { EVERYTHING } from '../../../src/filters/index.js'
import { ListenqlError } from '../../../src/lib/errors.js'
import type { LogEvent } from '../../../src/log/log-event.js'
import type { LogFollower } from '../../../src/log/log-follower.js'
import { createLogTopics } from '../../../src/log/log-topics.js'
import { endOfBatch } from '../../../src/log/position.js'
import { createChangeView } from '../../../src/sources/tables/change-view.js'
import { KnownTables } from '../../../src/sources/tables/known-tables.js'
import { createTableFeeds } from '../../../src/sources/tables/table-feeds.js'
import { PLAIN } from '../../support/cursors.js'
import { createGates } from '../../support/gates.js'
import { viewerOf } from '../../support/viewers.js'
import { column, table } from '../../support/watched-tables.js'

const TABLE = table('people', [column('id', 'int4', { notNull: true }), column('name')])
const EXPIRED = new ListenqlError('CURSOR_EXPIRED', 'the history has ended')

/** Creates feeds over a log that dispatches the test's events; the policies answer when the gate opens. */
function createFeeds() {
  const policies = createGates()
  const faults: unknown[] = []
  const topics = createLogTopics(error => faults.push(error))
  const known = new KnownTables()
  known.switchTo([TABLE], [])
  let n = 0
  const log = {
    follow: topics.follow,
    cursors: PLAIN,
    get position() {
      return endOfBatch({ n, token: 1 })
    },
  } as unknown as LogFollower // Only the members that feeds use.
  const feeds = createTableFeeds({
    log,
    known,
    async checkVisibility(_table, viewers, images) {
      await policies.pass()
      return new Map(viewers.map(viewer => [viewerKey(viewer, true), images.map(() => true)]))
    },
    readConditions: () => undefined,
    present: undefined,
    maxFilterWork: 1_000_000,
    observe: observation => observation.type === 'fault' && faults.push(observation.error),
  })

  return {
    feeds,
    faults,
    topics,
    /** Dispatches a new row from the log, and moves the position of the log. */
    insert(id: number) {
      topics.dispatch({
        kind: 't',
        topic: TABLE.relid,
        generation: 1,
        operation: 'I',
        position: { n: n + 1, token: 1, ord: 1, statement: 1, id },
        old: null,
        new: `{"id":${id},"name":"x"}`,
        at: new Date(0),
        transaction: '1',
      } as LogEvent)
      n++
    },
    follow(sub?: string, more: { event?: (id: unknown) => void; end?: () => void; used?: string[] } = {}) {
      const got: unknown[] = []
      const request = {
        filter: EVERYTHING,
        operations: undefined,
        after: undefined,
        used: more.used ?? ['id'],
        usesKey: false,
      }
      const followed = feeds.follow(TABLE.relid, {
        request,
        view: createChangeView(request, PLAIN),
        viewer: sub === undefined ? undefined : viewerOf('role', { sub }),
        follower: {
          event({ row }) {
            more.event?.(row?.get('id'))
            got.push(row?.get('id'))
          },
          end(error) {
            got.push(error.code)
            more.end?.()
          },
        },
      })
      return { got, followed }
    },
    /** Waits until the policies have answered every pending check. */
    async decide() {
      for (let i = 0; i < 5; i++) {
        await new Promise(resolve => setImmediate(resolve))
        while (policies.open());
      }
    },
  }
}

it('feeds deliver in the step of the dispatch without row-level security, and after the answer of the policies with it', async () => {
  const { insert, follow, decide } = createFeeds()
  const open = follow()
  const ann = follow('ann')
  const begun = ann.followed.position()
  insert(1)
  expect(open.got).toEqual([1])
  expect(open.followed.position()?.n).toBe(1)
  expect(ann.got).toEqual([])
  expect(ann.followed.position()).toEqual(begun)
  await decide()
  expect(ann.got).toEqual([1])
  expect(ann.followed.position()?.n).toBe(1)
})

it('feeds follow a table once in the log, and not at all without followers', () => {
  const { feeds, topics, insert, follow } = createFeeds()
  const followers = [follow(), follow('ann'), follow(), follow('bob')]
  const feed = feeds.get(TABLE.relid)
  expect(feed).toBeDefined()
  for (const { followed } of followers) {
    expect(feeds.get(TABLE.relid)).toBe(feed)
    followed.stop()
    followed.stop()
  }
  expect(feeds.get(TABLE.relid)).toBeUndefined()
  insert(1)
  topics.endAll(EXPIRED)
  for (const { got } of followers) expect(got).toEqual([])
})

it('a follower that throws is ended, and no other follower', () => {
  const { faults, insert, follow } = createFeeds()
  const error = new Error('a faulty follower')
  const faulty = follow(undefined, {
    event() {
      throw error
    },
  })
  const sound = follow()
  insert(1)
  insert(2)
  expect(faulty.got).toEqual(['DATABASE_FAILED'])
  expect(sound.got).toEqual([1, 2])
  expect(faults).toEqual([error])
})

it('a follower whose history ends follows the next history in the same step', async () => {
  for (const sub of [undefined, 'ann']) {
    const { topics, insert, follow, decide } = createFeeds()
    let next: unknown[] = []
    const first = follow(sub, {
      end() {
        next = follow(sub).got
      },
    })
    topics.endAll(EXPIRED)
    insert(1)
    await decide()
    expect(first.got).toEqual(['CURSOR_EXPIRED'])
    expect(next).toEqual([1])
  }
})

it('a schema change ends the followers of a changed column, and all followers under row-level security', async () => {
  const { feeds, insert, follow, decide } = createFeeds()
  const ofName = follow(undefined, { used: ['name'] })
  const ofId = follow(undefined, { used: ['id'] })
  const ann = follow('ann', { used: ['id'] })
  feeds.get(TABLE.relid)?.endWhere(({ used }) => used.includes('name'), EXPIRED)
  insert(1)
  await decide()
  expect(ofName.got).toEqual(['CURSOR_EXPIRED'])
  expect(ann.got).toEqual(['CURSOR_EXPIRED'])
  expect(ofId.got).toEqual([1])
})

it('feeds are settled once the events that wait for policies have been delivered', async () => {
  const { feeds, insert, follow, decide } = createFeeds()
  const { got } = follow('ann')
  expect(feeds.settled()).toBeUndefined()
  insert(1)
  const settled = feeds.settled()?.then(() => [...got])
  await decide()
  expect(await settled).toEqual([1])
  expect(feeds.settled()).toBeUndefined()
})
