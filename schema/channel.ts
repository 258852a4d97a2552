import { unreadableWords } from '../src/filters/index.js'
import { ListenqlError } from '../src/lib/errors.js'
import type { ChannelEvent } from '../src/sources/channels/channel-event.js'
import type { Builder } from './builder.js'
import { json } from './cell.js'

/** `channel`, `channels`, `mayPublish` and `notify`: for every NOTIFY channel of the database, without any set-up in it. */
export function addChannels(builder: Builder): void {
  const channelEvent = builder.objectType('ChannelEvent', {
    description:
      'A notification or a published event on a channel, or a gap: notifications may have been missed before it.',
    fields: t => ({
      channel: t.exposeString('channel', { description: 'The name of the channel.' }),
      payload: t.string({
        nullable: true,
        description: 'The text as sent; null on a gap.',
        resolve: event => readable(event).payload,
      }),
      json: t.field({
        type: 'JSON',
        nullable: true,
        description: 'The payload, parsed; null if it is not JSON.',
        resolve(event, _args, context) {
          const value = json(readable(event).json, context)
          if (value instanceof Error) throw value
          return value
        },
      }),
      cursor: t.exposeString('cursor', {
        nullable: true,
        description: 'The position to resume from; null for a plain NOTIFY, which Postgres does not store.',
      }),
      gap: t.exposeBoolean('gap', {
        description:
          'True: the connection to the database was lost, and notifications may have been missed before this point.',
      }),
      at: t.expose('at', {
        type: 'DateTime',
        description:
          'When the event was published; for a plain NOTIFY, when the server received the notification.',
      }),
    }),
  })

  builder.subscriptionField('channel', t =>
    t.field({
      type: channelEvent,
      description:
        'The notifications and published events on a channel of the database, from the moment when the server accepts the subscription.',
      args: {
        name: t.arg.string({
          required: true,
          description: 'Any channel name of Postgres, up to 63 bytes, case-sensitive.',
        }),
        after: t.arg.string({
          description:
            'The cursor of the last event that the client has seen: later published events arrive first, then one event with `gap`, because plain notifications are not stored. Default: only events from now on.',
        }),
      },
      subscribe: (_root, { name, after }, context) => {
        context.rules.assertListen(name)
        const source = context.channelSource(name, after ?? undefined)
        return context.opensSources ? source : source.iterate()
      },
      resolve: event => event,
    }),
  )
  builder.queryField('channels', t =>
    t.stringList({
      description: 'Patterns of the channels that you may listen to.',
      resolve: (_root, _args, context) => [...context.rules.listen],
    }),
  )
  builder.queryField('mayPublish', t =>
    t.boolean({
      description: 'Whether you may publish on a channel with `notify`.',
      args: { channel: t.arg.string({ required: true, description: 'The name of the channel.' }) },
      resolve: (_root, { channel }, context) => context.rules.mayPublish(channel),
    }),
  )
  builder.mutationField('notify', t =>
    t.boolean({
      description:
        'Sends a NOTIFY. Allowed only on channels that the server opens for publishing (--publish, --role-publish).',
      args: {
        channel: t.arg.string({ required: true, description: 'The name of the channel.' }),
        payload: t.arg.string({ required: true, description: 'Up to 7,999 bytes.' }),
      },
      resolve: async (_root, { channel, payload }, context) => {
        context.rules.assertPublish(channel)
        await context.notify(channel, payload)
        return true
      },
    }),
  )
}

/** @throws ListenqlError VALUE_NOT_SHOWN */
function readable(event: ChannelEvent): ChannelEvent {
  if (event.unreadable === undefined) return event
  throw new ListenqlError('VALUE_NOT_SHOWN', `the payload ${unreadableWords(event.unreadable)}`)
}
