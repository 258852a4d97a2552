import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'
import { CHANNEL, graphqlWsMessage } from '../variants.js'
import { followChannel } from './follow-channel.js'

/** The minimum with `ws`: one buffer per event, sent to all clients. @returns its port */
export async function startFloor(url: string): Promise<number> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await new Promise<void>(resolve => server.once('listening', resolve))
  await followChannel(url, CHANNEL, (_channel, payload) => {
    const message = Buffer.from(graphqlWsMessage(payload))
    for (const client of server.clients) client.send(message, { binary: false })
  })
  return (server.address() as AddressInfo).port
}
