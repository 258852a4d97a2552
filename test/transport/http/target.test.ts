import type { IncomingMessage } from 'node:http'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createTargets, type Target } from '../../../src/transport/http/target.js'

function targetOf(url: string, basePath = '', isBasePathOptional = false): Target {
  return createTargets({ basePath, isBasePathOptional }).of({ url } as IncomingMessage)
}

describe('the target of a request', () => {
  it.each([
    ['/', 'path', '/'],
    ['/?query={a}', 'path', '/'],
    ['/healthz', 'path', '/healthz'],
    ['/graphql/', 'path', '/graphql/'],
    ['/graphqlx', 'path', '/graphqlx'],
    ['/listen', 'path', '/listen'],
    ['//evil.example/healthz', 'path', '//evil.example/healthz'],
    ['/a/../healthz', 'path', '/healthz'],
  ])('%s is a %s: %s', (url, kind, path) => {
    expect(targetOf(url)).toMatchObject({ kind, path })
  })

  it('is GraphQL with its parameters, also if a proxy sends the whole URL', () => {
    for (const url of ['/graphql?query=a', 'http://evil.example/graphql?query=a']) {
      const target = targetOf(url)
      expect(target.kind === 'graphql' && target.url.searchParams.get('query')).toBe('a')
    }
  })

  it('is a channel of any name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), name => {
        fc.pre(name !== '.' && name !== '..') // parts of a path that URLs resolve
        expect(targetOf(`/listen/${encodeURIComponent(name)}`)).toEqual({ kind: 'listen', channel: name })
      }),
    )
    expect(targetOf('/listen/a/b')).toEqual({ kind: 'listen', channel: 'a/b' })
    expect(targetOf('/listen/%ff')).toMatchObject({ kind: 'malformed', refusal: { status: 400 } })
  })

  it.each(['', '*', 'graphql', 'http://', 'ftp://x/graphql'])('of %j is nowhere', url => {
    expect(targetOf(url)).toEqual({ kind: 'nowhere' })
  })
})

describe('a base path', () => {
  it.each([
    ['/live', '/'],
    ['/live/', '/'],
    ['/live/healthz', '/healthz'],
  ])('is taken off: %s', (url, path) => {
    expect(targetOf(url, '/live')).toMatchObject({ kind: 'path', path })
  })

  it.each(['/', '/graphql', '/lively/graphql', '/listen/a'])('is required: %s', url => {
    expect(targetOf(url, '/live')).toEqual({ kind: 'nowhere' })
  })

  it('may be missing if a proxy may have stripped it', () => {
    expect(targetOf('/graphql', '/live', true).kind).toBe('graphql')
    expect(targetOf('/live/graphql', '/live', true).kind).toBe('graphql')
  })
})
