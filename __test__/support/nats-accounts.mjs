// @ts-check
// A server's accounts by signed tokens, and the .creds files of their users: https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt

import { createAccount, createOperator, createUser, defaultUser, encodeAccount, encodeOperator, encodeUser, fmtCreds } from '@nats-io/jwt'

const UNLIMITED = { data: -1, payload: -1, subs: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1, mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 }

/** A configuration that lets in who shows the credentials, and nobody else. */
export async function signedAccounts() {
  const [operator, account, systemAccount, user, stranger] = [createOperator(), createAccount(), createAccount(), createUser(), createUser()]
  const by = { signer: operator }
  const accountToken = await encodeAccount('tests', account, { limits: UNLIMITED }, by)
  // JetStream needs a system account beside the others.
  const { disk_storage: _disk, mem_storage: _memory, streams: _streams, consumer: _consumer, ...withoutStreams } = UNLIMITED
  const systemToken = await encodeAccount('SYS', systemAccount, { limits: withoutStreams }, by)
  const operatorToken = await encodeOperator('tests', operator, { system_account: systemAccount.getPublicKey() })
  const config = `
    operator: ${operatorToken}
    system_account: ${systemAccount.getPublicKey()}
    resolver: MEMORY
    resolver_preload {
      ${account.getPublicKey()}: ${accountToken}
      ${systemAccount.getPublicKey()}: ${systemToken}
    }`
  const token = await encodeUser('u', user, account, defaultUser())
  // Signed by somebody whom the server does not know.
  const strangersToken = await encodeUser('u', stranger, createAccount(), defaultUser())
  return { config, credentials: fmtCreds(token, user), strangersCredentials: fmtCreds(strangersToken, stranger), seed: new TextDecoder().decode(user.getSeed()) }
}
