import type { IncomingMessage, ServerResponse } from 'node:http'
import { replyJson, replyText } from './reply.js'

interface HealthAnswer {
  readonly status: number
  readonly body: unknown
}

/** Undefined: the path is none of those that tell about health. @param isDeep whether delivery is tried. Default: no */
export type AnswerHealth = (
  path: string,
  isDeep?: boolean,
) => HealthAnswer | Promise<HealthAnswer> | undefined

export function replyHealth(
  { method }: IncomingMessage,
  response: ServerResponse,
  { status, body }: HealthAnswer,
): void {
  if (method !== 'GET' && method !== 'HEAD')
    return replyText(response, 405, 'Use GET here.\n', { allow: 'GET, HEAD' })
  replyJson(response, status, body)
}
