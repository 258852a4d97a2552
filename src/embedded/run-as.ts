import { readFile, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** The ids of the user that runs Postgres, if that is not the user of this process. */
export interface RunAs {
  readonly uid: number
  readonly gid: number
}

/**
 * Postgres refuses to run as root. If this process runs as root, Postgres runs as the owner of the existing data, else as
 * user `postgres`, else as `nobody`. Undefined: it runs as the user of this process.
 */
export async function chooseRunAs(dataDirectory: string | undefined): Promise<RunAs | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const owner = dataDirectory === undefined ? undefined : await stat(dataDirectory).catch(() => undefined)
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '')
  for (const name of ['postgres', 'nobody']) {
    const fields = passwd
      .split('\n')
      .find(line => line.startsWith(`${name}:`))
      ?.split(':')
    if (fields?.[2] && fields[3]) return { uid: Number(fields[2]), gid: Number(fields[3]) }
  }
  return { uid: 65534, gid: 65534 }
}

/**
 * Whether that user may enter every folder of `path`, and read (`mode` 4), enter or execute (1) the last one. It checks permission
 * bits only. Parts of the path that do not exist yet are ignored.
 */
export async function canReach(user: RunAs | undefined, path: string, mode: 1 | 5 = 1): Promise<boolean> {
  if (!user) return true
  const real = await realpath(path).catch(() => undefined)
  if (real === undefined) return dirname(path) === path || canReach(user, dirname(path))
  for (let part = real, wanted: number = mode; ; part = dirname(part), wanted = 1) {
    const { uid, gid, mode: bits } = await stat(part)
    const granted = uid === user.uid ? bits >> 6 : gid === user.gid ? bits >> 3 : bits
    if ((granted & wanted) !== wanted) return false
    if (dirname(part) === part) return true
  }
}
