import { execFile } from 'node:child_process'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

export interface Certificate {
  readonly cert: string
  readonly key: string
}

/**
 * Makes a certificate for localhost, with its key, in `server.crt` and `server.key` of a folder. Both replace former files by rename.
 * @param name the common name of the subject
 */
export async function makeCertificate(folder: string, name: string): Promise<Certificate> {
  const [cert, key] = [join(folder, 'server.crt'), join(folder, 'server.key')]
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost'],
    ...['-keyout', `${key}.new`, '-out', `${cert}.new`],
  ])
  await rename(`${key}.new`, key)
  await rename(`${cert}.new`, cert)
  return { cert, key }
}
