import { describe, expect, it } from 'vitest'
import { parseFlags } from '../../src/config/index.js'
import { editDistance, nearest } from '../../src/config/suggest.js'
import { load } from '../support/settings.js'

const settings = (...argv: string[]) => load({ argv }).settings

describe('parseFlags', () => {
  it('accepts a value after a space or an equals sign, and uses the last value of a repeated flag', () => {
    expect(settings('--port', '1').port).toBe(1)
    expect(settings('--port=1', '--port=2').port).toBe(2)
    expect(settings('--database-url=host=x dbname=y').databaseUrl).toBe('host=x dbname=y')
  })

  it('switches a flag with --no- and with a value', () => {
    expect(settings('--no-graphiql').graphiql).toBe(false)
    expect(settings('--graphiql=off').graphiql).toBe(false)
    expect(settings('--graphiql').graphiql).toBe(true)
  })

  it('concatenates repeated lists', () => {
    expect(settings('--channels', 'a,b', '--channels', 'c').channels).toEqual(['a', 'b', 'c'])
    expect(settings('--channels=').channels).toEqual([])
  })

  it('separates words from flags, and accepts everything after -- as words', () => {
    const { words, plain } = parseFlags(['a', '-d', '--json', '-', '--', '--port'], {
      keys: ['debug'],
      plain: [{ flag: 'json', help: '' }],
    })
    expect(words).toEqual(['a', '-', '--port'])
    expect(plain).toEqual(new Map([['json', true]]))
  })

  it('keeps all values of a plain flag that may be given several times', () => {
    const schema = { flag: 'schema', placeholder: 'NAME', repeats: true, help: '' } as const
    const once = { flag: 'wait', placeholder: 'TIME', help: '' }
    const { repeated, plain } = parseFlags(
      ['--schema', 'a,b', '--wait', '1s', '--schema=c', '--wait', '2s'],
      {
        keys: [],
        plain: [schema, once],
      },
    )
    expect(repeated).toEqual(new Map([['schema', ['a,b', 'c']]]))
    expect(plain.get('wait')).toBe('2s')
  })

  it.each([
    [['--prot', '1'], 'there is no flag --prot; did you mean --port?'],
    [['--http-port=1'], 'there is no flag --http-port; did you mean --port?'],
    [['--nographiql'], 'there is no flag --nographiql; did you mean --no-graphiql?'],
    [['-x'], 'there is no flag -x'],
    [['--quux'], 'there is no flag --quux'],
    [['--port'], '--port needs a value: --port PORT'],
    [['--port', '--debug'], '--port needs a value: --port PORT'],
    [['--config'], '--config needs a value: --config FILE'],
    [['--help=x'], '--help takes no value'],
    [['--no-graphiql=x'], '--no-graphiql takes no value'],
    [['--port=-1'], "--port is '-1' but must be a port, a whole number from 0 to 65535"],
    [['--host='], "--host is '' but must not be empty"],
    [['--max-buffer', '16M'], "--max-buffer is '16M' but must be a number of bytes"],
    [['--max-event', '0'], "--max-event is '0' but must be a number of bytes from 1 on"],
    [['--stall-timeout', '0s'], "--stall-timeout is '0s' but must be a duration from 1ms"],
    [['--log-format', 'jsno'], 'did you mean json?'],
    [['--debug=maybe'], "--debug is 'maybe' but must be true or false"],
    [['--url-base', 'example.com'], "--url-base is 'example.com' but must be a URL such as"],
    [['--base-path', '/a?b'], "--base-path is '/a?b' but must be a path such as /events"],
    [['--cors-origins', 'https://a.com/'], "'https://a.com/' is not one; did you mean https://a.com?"],
    [['--cors-origins', 'a.com'], 'must hold origins such as https://app.example.com, without path'],
  ])('refuses %j', (argv, message) => {
    expect(() => settings(...argv)).toThrow(
      expect.objectContaining({ code: 'BAD_CONFIGURATION', message: expect.stringContaining(message) }),
    )
  })

  it('names the command to which a refused flag belongs', () => {
    expect(() => parseFlags(['--port', '1'], { keys: [], plain: [] })).toThrow(
      'this command does not take --port',
    )
  })

  it('never quotes the value of a secret or of an unknown flag', () => {
    for (const argv of [['--database-ulr=postgres://u:hunter2@h/d'], ['--database-url', '-hunter2']]) {
      expect(() => settings(...argv)).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining('hunter2') }),
      )
    }
  })
})

describe('suggestions', () => {
  it('are ranked by edit distance', () => {
    expect(editDistance('port', 'port')).toBe(0)
    expect(editDistance('prot', 'port')).toBe(1)
    expect(editDistance('kitten', 'sitting')).toBe(3)
    expect(editDistance('', 'abc')).toBe(3)
  })

  it('contain the nearest name, and no distant one', () => {
    expect(nearest('tial', ['serve', 'tail'])).toBe('tail')
    expect(nearest('MAX-BUFFER', ['MaxBuffer'])).toBe('MaxBuffer')
    expect(nearest('xyz', ['serve', 'tail'])).toBeUndefined()
  })
})
