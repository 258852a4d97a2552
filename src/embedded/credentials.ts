import { randomBytes } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { ListenqlError, messageOf } from '../lib/errors.js'

/** Passwords of an embedded Postgres. */
export interface Credentials {
  /** Password of `postgres`, the superuser. */
  readonly superuser: string
  /** Password of `listenql`, the server's login. */
  readonly login: string
}

/** @throws ListenqlError EMBEDDED_POSTGRES_FAILED if the file is unreadable or invalid; undefined: there is none */
export async function readCredentials(path: string): Promise<Credentials | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new ListenqlError('EMBEDDED_POSTGRES_FAILED', `cannot read ${path}: ${messageOf(error)}`, {
      hint: 'it belongs to the user who started listenql first; run the command as that user',
      cause: error,
    })
  }
  const parsed = parse(text)
  if (parsed) return parsed
  throw new ListenqlError(
    'EMBEDDED_POSTGRES_FAILED',
    `${path} no longer contains the passwords of Postgres`,
    {
      hint: 'restore it, or delete its folder (with all data) to start afresh',
    },
  )
}

/** Generates passwords and stores them so that only the owner may read them. */
export async function createCredentials(path: string): Promise<Credentials> {
  const password = () => randomBytes(24).toString('base64url')
  const credentials = { superuser: password(), login: password() }
  const partial = `${path}.${process.pid}`
  await writeFile(partial, `${JSON.stringify(credentials, undefined, 2)}\n`, { mode: 0o600 })
  await rename(partial, path)
  return credentials
}

function parse(text: string): Credentials | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || !('superuser' in value) || !('login' in value))
      return undefined
    const { superuser, login } = value
    return typeof superuser === 'string' && typeof login === 'string' ? { superuser, login } : undefined
  } catch {
    return undefined
  }
}
