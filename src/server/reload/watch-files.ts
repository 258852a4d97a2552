import { type Stats, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Stop } from '../../lib/stop.js'

/** What tells versions of files apart, by their names. */
export type FileStates = ReadonlyMap<string, string>

export interface WatchFilesOptions {
  /** The states of files that have been read. Default: files are known from the first check on. */
  readonly known?: FileStates
  /** The files, at each check. Names of files that do not exist are no error. */
  readonly files: () => readonly string[]
  /** Time between two checks, in ms. Default: 2 s. */
  readonly interval?: number
  /**
   * One of the files has other content, or none, and none has changed since the check that noticed it.
   * @returns false: to be called again at the next check, since what has failed may work then, as where too many files were open
   */
  readonly onChange: () => boolean
}

export interface FileWatch {
  /** To be called before files are read that `files` does not return yet: a later change is noticed. */
  note(files: readonly string[]): void
  readonly stop: Stop
}

/**
 * Notices that files have changed. It compares their inode, size and time of change at intervals, since fs.watch misses what is renamed
 * into place, and Kubernetes replaces the folder that the files of a secret are linked to
 * (https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod). It waits until no file changes any more,
 * because programs replace a certificate and its key one after the other, and one without the other is of no use.
 */
export function watchFiles({ files, interval = 2000, onChange, ...options }: WatchFilesOptions): FileWatch {
  const known = new Map(options.known)
  let isStopped = false
  let isChanging = false
  let isDone = true

  async function check(): Promise<void> {
    const now = await Promise.all(files().map(async file => [file, await stateOf(file)] as const))
    if (isStopped) return
    const hasChanged = now.some(([file, state]) => (known.get(file) ?? state) !== state)
    for (const [file, state] of now) known.set(file, state)
    // A reload may have noted other files meanwhile.
    const present = files()
    for (const file of known.keys()) if (!present.includes(file)) known.delete(file)
    const hasSettled = isChanging && !hasChanged
    isChanging = hasChanged
    if (hasSettled || !(isDone || hasChanged)) isDone = onChange()
  }

  let timer: NodeJS.Timeout | undefined
  function schedule(): void {
    if (!isStopped) timer = setTimeout(() => void check().finally(schedule), interval).unref()
  }
  void check().finally(schedule)
  return {
    note(noted) {
      for (const [file, state] of stateOfFiles(noted.filter(file => !known.has(file)))) known.set(file, state)
    },
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}

export function stateOfFiles(files: readonly string[]): FileStates {
  return new Map(files.map(file => [file, stateOfFile(file)]))
}

function stateOfFile(file: string): string {
  try {
    return versionOf(statSync(file))
  } catch {
    return ABSENT
  }
}

/** Differs once the content of a file has changed. */
async function stateOf(file: string): Promise<string> {
  try {
    return versionOf(await stat(file))
  } catch {
    return ABSENT
  }
}

const ABSENT = 'absent'

function versionOf({ ino, size, mtimeMs, ctimeMs }: Stats): string {
  return [ino, size, mtimeMs, ctimeMs].join()
}
