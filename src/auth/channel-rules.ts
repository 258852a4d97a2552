import { ListenqlError } from '../lib/errors.js'
import { compileGlob } from '../lib/glob.js'
import { type ClaimPattern, parseClaimPattern } from '../lib/patterns/claim-pattern.js'
import { assertChannelName, isChannelName, isInternalChannel } from '../postgres/channel-name.js'
import type { Viewer } from './viewer.js'

/** Which channels a viewer may listen to, and which ones it may publish on. */
export interface ChannelRules {
  /** As globs, with the viewer's claims filled in. */
  readonly listen: readonly string[]
  readonly publish: readonly string[]
  /** @throws ListenqlError CHANNEL_NOT_ALLOWED, CHANNEL_NAME_INVALID */
  assertListen(channel: string): void
  /** @throws ListenqlError CHANNEL_NOT_ALLOWED, CHANNEL_NAME_INVALID */
  assertPublish(channel: string): void
  /** Whether `assertListen` would accept the channel. */
  mayListen(channel: string): boolean
  /** Whether `assertPublish` would accept the channel. */
  mayPublish(channel: string): boolean
}

/** Patterns as in `parseClaimPattern`: those for all viewers, and additional ones by role. */
export interface ChannelPatterns {
  readonly everybody: readonly string[]
  readonly roles: Readonly<Record<string, readonly string[]>>
}

/** The channel rules of all viewers. */
export interface AccessRules {
  /** Whether any viewer may listen to any channel. */
  readonly opensChannels: boolean
  for(viewer: Pick<Viewer, 'role' | 'claims'>): ChannelRules
  /** The first pattern, as configured, by which some viewer may listen to the channel. Undefined: no viewer may. */
  patternOf(channel: string): string | undefined
}

/** @throws ListenqlError BAD_CONFIGURATION if a pattern is malformed */
export function createAccessRules(listen: ChannelPatterns, publish: ChannelPatterns): AccessRules {
  const listenGlobs = createGlobs(listen)
  const publishGlobs = createGlobs(publish)
  const known = new WeakMap<object, ChannelRules>()
  const all = [listen.everybody, ...Object.values(listen.roles)].flat()
  const widest = all.map(pattern => ({ pattern, glob: compileGlob(parseClaimPattern(pattern).widest) }))
  return {
    opensChannels: all.length > 0,
    patternOf: channel => widest.find(({ glob }) => glob.test(channel))?.pattern,
    for(viewer) {
      let rules = known.get(viewer)
      if (!rules) {
        rules = createChannelRules(listenGlobs(viewer), publishGlobs(viewer))
        known.set(viewer, rules)
      }
      return rules
    },
  }
}

/**
 * The rules for given globs; viewers may share them.
 * @param listen,publish globs as in `compileGlob`
 * @throws ListenqlError BAD_CONFIGURATION if a glob is malformed
 */
export function createChannelRules(listen: readonly string[], publish: readonly string[]): ChannelRules {
  const mayListen = createMatcher(listen)
  const mayPublish = createMatcher(publish)
  return {
    listen,
    publish,
    mayListen: channel => isChannelName(channel) && mayListen(channel),
    mayPublish: channel => isChannelName(channel) && mayPublish(channel),
    assertListen(channel) {
      assertChannelName(channel) // first: it bounds the text that patterns match and the error quotes
      if (mayListen(channel)) return
      // The words of pg_eventserv: its clients may look for them.
      throw new ListenqlError('CHANNEL_NOT_ALLOWED', `requested channel '${channel}' is not allowed`, {
        hint: 'see Channels (--channels, --role-channels) in docs/configuration.md',
      })
    },
    assertPublish(channel) {
      assertChannelName(channel)
      if (mayPublish(channel)) return
      throw new ListenqlError('CHANNEL_NOT_ALLOWED', `publishing on channel '${channel}' is not allowed`, {
        hint: 'see Publish (--publish, --role-publish) in docs/configuration.md',
      })
    },
  }
}

function createGlobs({ everybody, roles }: ChannelPatterns) {
  const forAll = everybody.map(parseClaimPattern)
  const byRole = new Map(Object.entries(roles).map(([role, given]) => [role, given.map(parseClaimPattern)]))
  return ({ role, claims }: Pick<Viewer, 'role' | 'claims'>): string[] => {
    const patterns: readonly ClaimPattern[] =
      role === undefined ? forAll : [...forAll, ...(byRole.get(role) ?? [])]
    return patterns.flatMap(pattern => pattern.globFor(claims) ?? [])
  }
}

function createMatcher(globs: readonly string[]): (channel: string) => boolean {
  const patterns = globs.map(compileGlob)
  return channel => !isInternalChannel(channel) && patterns.some(pattern => pattern.test(channel))
}
