import { type ExecutionArgs, type ExecutionResult, execute, GraphQLError } from 'graphql'
import type { SubscriptionRequest } from '../delivery/subscription.js'
import { isRecord } from '../lib/is-record.js'
import type { Cursors } from '../log/cursors.js'
import type { EventSource } from '../sources/source.js'
import type { ClientErrors } from './errors.js'
import { stringifyResult, withClientErrors } from './result.js'
import { createRowTexts } from './row-texts.js'

/** How the events of a subscription are rendered. No function throws. */
export type EventRendering = Pick<
  SubscriptionRequest<unknown>,
  'prepare' | 'render' | 'renderTooLarge' | 'renderEnd'
>

export interface RenderOptions {
  readonly cursors: Pick<Cursors, 'encode'>
  readonly toClientError: ClientErrors
}

/**
 * Executes the operation of a subscription on one event, synchronously, and returns the JSON text of the result, with the event's
 * cursor in `extensions`. An event that cannot be rendered is an error with a cursor, so that the client resumes after it.
 */
export function renderEvents(
  args: ExecutionArgs,
  source: EventSource<unknown>,
  { cursors, toClientError }: RenderOptions,
): EventRendering {
  const cursorOf = (event: unknown) => {
    const position = source.positionOf(event)
    return position && cursors.encode(position)
  }
  function run(event: unknown): ExecutionResult {
    const result = execute({ ...args, rootValue: event })
    if ('then' in result) throw new Error('a field of a subscription did not resolve synchronously')
    return result
  }
  const rows = source.lists && createRowTexts(source.lists, run)
  return {
    ...(rows && {
      prepare(event, isOver) {
        try {
          return rows.prepare(event, isOver)
        } catch {
          return true // `render` shows the error
        }
      },
    }),
    render(event) {
      const cursor = cursorOf(event)
      try {
        const result = rows ? rows.execute(event) : run(event)
        const shown = withClientErrors(withoutFalseRemoval(result), toClientError)
        const extensions = source.extensionsOf(event)
        return stringifyResult(extensions ? { ...shown, extensions } : shown, cursor)
      } catch (error) {
        return errorText(isTooLong(error) ? tooLong() : toClientError(error), cursor)
      }
    },
    renderTooLarge: (event, bytes) => errorText(tooLarge(bytes), cursorOf(event)),
    renderEnd: error => errorText(toClientError(error)),
  }
}

/**
 * If an error makes a non-nullable field null, the whole row or key becomes null, and `row: null` would tell a client to remove the
 * row. Then the result keeps only its errors.
 * @param result of a subscription to the changes of a table, which has one field
 */
export function withoutFalseRemoval(result: ExecutionResult): ExecutionResult {
  const isFalse = result.errors?.some(({ path: [field, part, ...below] = [] }) => {
    const change = result.data?.[field as string]
    return isRecord(change) && below.length > 0 && change[part as string] === null
  })
  return isFalse ? { ...result, data: null } : result
}

function errorText(error: GraphQLError, cursor?: string): string {
  return stringifyResult({ data: null, errors: [error] }, cursor)
}

function tooLarge(bytes: number): GraphQLError {
  return new GraphQLError(
    `This event has ${bytes} bytes with the fields that you select, more than this server delivers.`,
    {
      extensions: {
        code: 'EVENT_TOO_LARGE',
        bytes,
        hint: 'select fewer fields, or raise --max-event on the server',
      },
    },
  )
}

/** The longest string in JavaScript has 512 MiB. */
function isTooLong(error: unknown): boolean {
  return error instanceof RangeError && error.message.includes('string length')
}

function tooLong(): GraphQLError {
  return new GraphQLError(
    'This event is larger, with the fields that you select, than any server can deliver.',
    {
      extensions: { code: 'EVENT_TOO_LARGE', hint: 'select fewer fields' },
    },
  )
}
