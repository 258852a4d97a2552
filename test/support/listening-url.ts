/** Returns the URL that the server prints when it listens; undefined if it has not printed one yet. */
export function listeningUrl(printed: string): string | undefined {
  return /Listening on (http:[^\s"]+)/.exec(printed)?.[1]
}
