import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLog, lines, type TestLog } from '../support/log.js'

/** Postgres stores this value, but its JSON would exceed the limit of 1 GB for a text. */
const CONTROL = `repeat(E'\\x01', 180 * 1024 * 1024)`
const BYTES = 180 * 1024 * 1024

let log: TestLog
beforeEach(async () => {
  log = await createLog()
  await log.query(`create type mood as enum ('sad', 'happy');
    create table t (id int primary key, doc text, note text, moods mood[]);
    create table short (id int primary key, v varchar(50), n numeric)`)
  await log.watch('t', 'short')
})
afterEach(() => log.close())

describe('a value too large for an image', () => {
  it('is left out of the image, which records its size, and the write succeeds', {
    timeout: 120_000,
  }, async () => {
    await log.query(
      `insert into t values (1, 'a', 'first', '{happy}'), (2, ${CONTROL}, 'second', '{sad,null}'), (3, 'b', null, null)`,
    )
    expect(lines(await log.fresh())).toEqual([
      'I {"id":1,"doc":"a","note":"first","moods":["happy"]}',
      `I {"id":2,"doc":null,"note":"second","moods":["sad",null],"":{"doc":${BYTES}}}`,
      'I {"id":3,"doc":"b","note":null,"moods":null}',
    ])
    await log.query(`update t set note = 'x'`)
    expect(lines(await log.fresh()).sort()).toEqual([
      'U {"id":1,"doc":"a","note":"first","moods":["happy"]} -> {"id":1,"doc":"a","note":"x","moods":["happy"]}',
      `U {"id":2,"doc":null,"note":"second","moods":["sad",null],"":{"doc":${BYTES}}} -> {"id":2,"doc":null,"note":"x","moods":["sad",null],"":{"doc":${BYTES}}}`,
      'U {"id":3,"doc":"b","note":null,"moods":null} -> {"id":3,"doc":"b","note":"x","moods":null}',
    ])
    await log.query(`update t set doc = 'small' where id = 2`)
    expect(lines(await log.fresh())).toEqual([
      `U {"id":2,"doc":null,"note":"x","moods":["sad",null],"":{"doc":${BYTES}}} -> {"id":2,"doc":"small","note":"x","moods":["sad",null]}`,
    ])
  })

  it('has the size of its text in the image: of a bytea two digits for each byte, however large it is', {
    timeout: 120_000,
  }, async () => {
    await log.query('create table b (id int primary key, a bytea, b bytea, t text)')
    await log.watch('b')
    const bytes = (n: number) => `decode(repeat('00', ${n}), 'hex')`
    await log.query(`insert into b values (1, ${bytes(70_000_000)}, null, 'too large alone'),
      (2, ${bytes(40_000_000)}, ${bytes(30_000_000)}, 'too large together'),
      (3, null, ${bytes(2)}, repeat(E'\\x01\\n\\\\"', 20000000))`)
    // Not with a regular expression: V8 keeps a place on its stack for each repetition, and 60,000,000 are too many.
    const zeros = '0'.repeat(60_000_000)
    const shown = lines(await log.fresh()).map(line => line.replace(zeros, '<60000000 zeros>'))
    expect(shown).toEqual([
      'I {"id":1,"a":null,"b":null,"t":"too large alone","":{"a":140000002}}',
      'I {"id":2,"a":null,"b":"\\\\x<60000000 zeros>","t":"too large together","":{"a":80000002}}',
      'I {"id":3,"a":null,"b":"\\\\x0000","t":null,"":{"t":80000000}}',
    ])
  })

  it('is left out by statements within transactions and nested statements, in their order', {
    timeout: 120_000,
  }, async () => {
    await log.query(`insert into t values (2, ${CONTROL}, 'second', null)`)
    await log.fresh()
    await log.query(`begin; update t set note = 'x'; update t set id = 5;
      with gone as (delete from t returning *) insert into t select 6, doc, note, moods from gone; delete from t; commit`)
    const image = (id: number, note: string) =>
      `{"id":${id},"doc":null,"note":"${note}","moods":null,"":{"doc":${BYTES}}}`
    expect(lines(await log.fresh())).toEqual([
      `U ${image(2, 'second')} -> ${image(2, 'x')}`,
      `D ${image(2, 'x')}`,
      `I ${image(5, 'x')}`,
      `D ${image(5, 'x')}`,
      `I ${image(6, 'x')}`,
      `D ${image(6, 'x')}`,
    ])
  })
})

it('values of several megabytes are in the image', async () => {
  await log.query(`insert into t values (1, repeat('é', 3000000), null, null)`)
  const [event] = await log.fresh()
  expect(JSON.parse(event?.new ?? '')).toEqual({ id: 1, doc: 'é'.repeat(3_000_000), note: null, moods: null })
})

it('tables without columns for large values have no code for large values in their functions', async () => {
  const sources = await log.query(
    `select prosrc like '%listenql.large%' as large, split_part(proname, '_', 2)::oid::regclass::text as table from pg_proc
     where pronamespace = 'listenql'::regnamespace and proname ~ '^capture_\\d' order by 2`,
  )
  expect(sources).toEqual([
    { large: false, table: 'short' },
    { large: true, table: 't' },
  ])
})
