import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest'
import { learnCursors } from '../stress/positions.js'
import { alertsByPart, type Ended } from './alerts.js'
import type { Chapter } from './chapter.js'
import { CLOSING } from './chapters/closing.js'
import { FAILOVER, UPGRADE } from './chapters/database.js'
import { FILL, LAPTOPS, RAISE } from './chapters/log.js'
import { LOAD, OPENING } from './chapters/opening.js'
import { KILL, ROLL, ROTATE } from './chapters/servers.js'
import { readDashboard } from './dashboard.js'
import { type Day, startDay } from './day.js'
import { drawDashboard } from './picture.js'
import { gatherStaff, type Staff } from './staff.js'

const CHAPTERS: readonly Chapter[] = [
  OPENING,
  LOAD,
  KILL,
  ROLL,
  ROTATE,
  FILL,
  LAPTOPS,
  RAISE,
  FAILOVER,
  UPGRADE,
  CLOSING,
]

const started = performance.now()
const print = (line: string) =>
  void process.stdout.write(
    `${String(Math.round((performance.now() - started) / 1000)).padStart(4)} s  ${line}\n`,
  )

/** Where the picture of the dashboard goes. */
const PICTURE = process.env.LISTENQL_DAY_PICTURE ?? join(tmpdir(), 'listenql-day.png')

const begin = Math.floor(Date.now() / 1000)
let day: Day | undefined
let staff: Staff | undefined
beforeAll(async () => {
  print('a primary and its standby, three servers, nginx, an issuer of tokens and Prometheus start')
  day = await startDay()
  await learnCursors(day.cluster.query)
  staff = await gatherStaff(day)
}, 120_000)
afterAll(async () => {
  await staff?.leave()
  await day?.close()
}, 60_000)

it('a day in the life: clients end equal to the tables, and only the alerts fire that should', async () => {
  if (!day || !staff) throw new Error('the day has not begun')
  const { instances } = day
  onTestFailed(() => {
    for (const { name, log } of instances)
      for (const line of log.filter(({ level }) => level !== 'info').slice(-20))
        print(`${name}: ${JSON.stringify(line)}`)
  })
  const parts: Ended[] = []
  for (const chapter of CHAPTERS) {
    const { title } = chapter
    print(title)
    print(`      ${await chapter.run(day, staff)}`)
    expect(day.complaints).toEqual([])
    parts.push({ title, at: Date.now() / 1000 })
  }
  expect(await alertsByPart(day.prometheus, begin, parts)).toEqual(
    CHAPTERS.map(({ title, alerts = [] }) => ({ title, alerts })),
  )
}, 600_000)

it('the dashboard shows the day: every query has values', async () => {
  if (!day) throw new Error('the day has not begun')
  const span = { from: begin, to: Math.floor(Date.now() / 1000) }
  const panels = await readDashboard(day.prometheus, span)
  await drawDashboard(panels, span, PICTURE)
  print(`the dashboard of the day is in ${PICTURE}`)
  const empty = panels
    .flatMap(({ queries }) => queries)
    .filter(({ lines }) => !lines.some(({ values }) => values.some(value => value !== null)))
  expect(empty.map(({ expr }) => expr)).toEqual([])
}, 60_000)
