import { gql } from '@apollo/client/core'

// Written with `gql`, as applications do, whose text clients hash: documents.ts has documents of codegen, which have no text.

/** The channels that a client may listen to. */
export const LISTENABLE = gql`
  query Listenable {
    channels
  }
`
/** Sends `sent` on a channel. */
export const SEND = gql`
  mutation Send($channel: String!) {
    notify(channel: $channel, payload: "sent")
  }
`
/** The payloads of a channel. */
export const LISTEN = gql`
  subscription Listen($channel: String!) {
    channel(name: $channel) {
      payload
    }
  }
`
/** A result of `LISTEN`. */
export interface Listened {
  readonly channel: { readonly payload: string }
}
