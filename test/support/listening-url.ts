/** Where the server says that it listens, in what the command has printed; undefined: it has not said so yet. */
export function listeningUrl(printed: string): string | undefined {
  return /Listening on (http:[^\s"]+)/.exec(printed)?.[1]
}
