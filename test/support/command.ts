import { PassThrough, Writable } from 'node:stream'
import type { Streams } from '../../src/commands/shared/command.js'

/** Creates streams for a command that runs in this process. */
export interface CommandStreams extends Streams {
  readonly out: () => string
  readonly err: () => string
}

/** @param answer what a user types at a terminal; undefined: there is no terminal */
export function commandStreams(answer?: string): CommandStreams {
  const texts = { out: '', err: '' }
  const collect = (key: 'out' | 'err') =>
    new Writable({
      write(chunk, _encoding, done) {
        texts[key] += String(chunk)
        done()
      },
    })
  const stdin = new PassThrough()
  if (answer !== undefined) stdin.end(answer)
  return {
    stdin: Object.assign(stdin, { isTTY: answer !== undefined }),
    stdout: collect('out'),
    stderr: collect('err'),
    out: () => texts.out,
    err: () => texts.err,
  }
}
