import { execFile } from 'node:child_process'
import { renameSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** An authority that all clients trust, and the certificates that it issues. */
export interface Certificates {
  /** The certificate of the authority, PEM. */
  readonly authorityFile: string
  /** Issues a certificate for localhost and 127.0.0.1; replaces `NAME.crt` and `NAME.key`. @returns its serial number, in hex */
  issue(name: string): Promise<string>
  fileOf(name: string, kind: 'crt' | 'key'): string
}

const CURVE = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** @param folder for the files */
export async function createAuthority(folder: string): Promise<Certificates> {
  const openssl = (...args: string[]) => promisify(execFile)('openssl', args, { cwd: folder })
  await openssl(
    'req',
    '-x509',
    ...CURVE,
    '-days',
    '2',
    '-subj',
    '/CN=the day',
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
  )
  await writeFile(join(folder, 'names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1')
  const issuer = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names']
  return {
    authorityFile: join(folder, 'ca.crt'),
    async issue(name) {
      const next = `next-${name}`
      await openssl(
        'req',
        ...CURVE,
        '-subj',
        '/CN=localhost',
        '-keyout',
        `${next}.key`,
        '-out',
        `${next}.csr`,
      )
      await openssl('x509', '-req', '-in', `${next}.csr`, ...issuer, '-out', `${next}.crt`)
      // Both in one moment, because the servers read them as soon as one has changed.
      for (const kind of ['key', 'crt'])
        renameSync(join(folder, `${next}.${kind}`), join(folder, `${name}.${kind}`))
      const { stdout } = await openssl('x509', '-in', `${name}.crt`, '-noout', '-serial')
      return stdout.trim().replace('serial=', '')
    },
    fileOf: (name, kind) => join(folder, `${name}.${kind}`),
  }
}
