'use strict'
// Does what a list of jobs on standard input says, with Tencent's own SDK: has the service verify, sign and decrypt. Answers with a
// list of what came of them. Bytes are in base64.

const crypto = require('crypto')
const http = require('http')
const { CommonClient } = require('tencentcloud-sdk-nodejs-common')

const { TCKMS_ENDPOINT, TENCENTCLOUD_REGION: region, TENCENTCLOUD_SECRET_ID: secretId, TENCENTCLOUD_SECRET_KEY: secretKey } = process.env
// The SDK signs for the service that the host's name begins with, so the emulator is called by such a name.
const endpoint = `kms.emulator.test:${new URL(TCKMS_ENDPOINT).port}`
const agent = new http.Agent({ lookup: (_host, { all }, done) => all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4) })
const profile = { httpProfile: { protocol: 'http://', endpoint, agent } }
const client = new CommonClient(endpoint, '2019-01-18', { credential: { secretId, secretKey }, region, profile })

const PADDINGS = {
  RSAES_OAEP_SHA_256: { padding: crypto.constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' },
  RSAES_OAEP_SHA_1: { padding: crypto.constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' },
  RSAES_PKCS1_V1_5: { padding: crypto.constants.RSA_PKCS1_PADDING }
}

async function signAndVerify ({ key: KeyId, algorithm: Algorithm, digest: Message, signature: SignatureValue }) {
  const what = { KeyId, Algorithm, Message, MessageType: 'DIGEST' }
  const { SignatureValid: valid } = await client.request('VerifyByAsymmetricKey', { ...what, SignatureValue })
  const { Signature: signature } = await client.request('SignByAsymmetricKey', what)
  return { valid, signature }
}

async function encryptAndDecrypt ({ key: KeyId, algorithm: Algorithm, ciphertext: Ciphertext, plaintext }) {
  const { Plaintext } = await client.request('AsymmetricRsaDecrypt', { KeyId, Algorithm, Ciphertext })
  const { PublicKey } = await client.request('GetPublicKey', { KeyId })
  const key = crypto.createPublicKey({ key: Buffer.from(PublicKey, 'base64'), format: 'der', type: 'spki' })
  const ciphertext = crypto.publicEncrypt({ key, ...PADDINGS[Algorithm] }, Buffer.from(plaintext, 'base64'))
  return { plaintext: Plaintext, ciphertext: ciphertext.toString('base64') }
}

async function main () {
  const results = []
  for (const job of JSON.parse(require('fs').readFileSync(0, 'utf8'))) {
    const run = job.signature === undefined ? encryptAndDecrypt : signAndVerify
    results.push(await run(job).catch(error => { throw new Error(`${JSON.stringify(job)}: ${error.stack}`) }))
  }
  console.log(JSON.stringify(results))
}

main().catch(error => { console.error(error); process.exit(1) })
