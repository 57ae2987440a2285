// @ts-check
// Certificates of a test's own authority, which nobody's system trusts.

import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { generate } from 'selfsigned'

const EC = /** @type {const} */ ({ keyType: 'ec', algorithm: 'sha256' })
/** @typedef {{ type: 7, ip: string } | { type: 2, value: string }} Host */

/** By number, and by the name that Node's own TLS asks for where a number is given. @type {Host[]} */
const LOOPBACK = [{ type: 7, ip: '127.0.0.1' }, { type: 2, value: 'localhost' }]
/** @param {string} value */
const named = (value) => [{ name: 'commonName', value }]

/**
 * An authority, and a server's certificate that it has signed, as files.
 * @param {string} directory
 * @param {Host[]} [hosts] whom the certificate is for
 */
export async function writeCertificates(directory, hosts = LOOPBACK) {
  const authority = await generate(named(`Tests ${randomUUID()}`), {
    ...EC,
    extensions: [{ name: 'basicConstraints', cA: true, critical: true }, { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true }],
  })
  const server = await generate(named('nats-server'), {
    ...EC,
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: hosts },
    ],
  })
  const files = { caFile: join(directory, 'ca.pem'), certFile: join(directory, 'cert.pem'), keyFile: join(directory, 'key.pem') }
  writeFileSync(files.caFile, authority.cert)
  writeFileSync(files.certFile, server.cert)
  writeFileSync(files.keyFile, server.private, { mode: 0o600 })
  return files
}
