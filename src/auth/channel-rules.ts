import { assertChannelName, INTERNAL_CHANNEL } from '../events/channel-name.js'
import { ListenqlError } from '../lib/errors.js'
import { compileGlob } from '../lib/glob.js'

/** Which channels may be listened to, and which may be published on. */
export interface ChannelRules {
  readonly listen: readonly string[]
  readonly publish: readonly string[]
  /** @throws ListenqlError CHANNEL_NOT_ALLOWED */
  assertListen(channel: string): void
  /** @throws ListenqlError CHANNEL_NOT_ALLOWED, CHANNEL_NAME_INVALID */
  assertPublish(channel: string): void
}

/**
 * @param listen,publish globs as in `compileGlob`
 * @throws ListenqlError BAD_CONFIGURATION if a glob is malformed
 */
export function createChannelRules(listen: readonly string[], publish: readonly string[]): ChannelRules {
  const mayListen = createMatcher(listen)
  const mayPublish = createMatcher(publish)
  return {
    listen,
    publish,
    assertListen(channel) {
      if (mayListen(channel)) return
      // pg_eventserv's own words, which its clients may look for.
      throw new ListenqlError('CHANNEL_NOT_ALLOWED', `requested channel '${channel}' is not allowed`, {
        hint: 'see Channels (--channels) in docs/configuration.md',
      })
    },
    assertPublish(channel) {
      if (mayPublish(channel)) return assertChannelName(channel)
      throw new ListenqlError('CHANNEL_NOT_ALLOWED', `publishing on channel '${channel}' is not allowed`, {
        hint: 'see Publish (--publish) in docs/configuration.md',
      })
    },
  }
}

function createMatcher(globs: readonly string[]): (channel: string) => boolean {
  const patterns = globs.map(compileGlob)
  return channel => channel !== INTERNAL_CHANNEL && patterns.some(pattern => pattern.test(channel))
}
