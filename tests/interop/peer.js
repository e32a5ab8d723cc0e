'use strict'
// Does what a list of jobs on standard input says, with the stock AWS Encryption SDK and the keyring of docs/interop.

const fs = require('fs')
const http = require('http')
const path = require('path')
const { AlgorithmSuiteIdentifier, buildClient, CommitmentPolicy } = require('@aws-crypto/client-node')
const { CommonClient } = require('tencentcloud-sdk-nodejs-common')
const { TencentKmsKeyring } = require(path.join(process.env.INTEROP_PROVIDER, 'tencent-kms.js'))
const { TencentKmsBranchKeyring } = require(path.join(process.env.INTEROP_PROVIDER, 'tencent-kms-branch.js'))

const { encrypt, decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
const UNSIGNED = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY
const SIGNED = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY_ECDSA_P384

function keyring (keyIds, branch) {
  const { TCKMS_ENDPOINT, TENCENTCLOUD_REGION: region, TENCENTCLOUD_SECRET_ID: secretId, TENCENTCLOUD_SECRET_KEY: secretKey } = process.env
  // The SDK signs for the service that the host's name begins with, so the emulator is called by such a name.
  const endpoint = `kms.emulator.test:${new URL(TCKMS_ENDPOINT).port}`
  const agent = new http.Agent({ lookup: (_host, { all }, done) => all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4) })
  const profile = { httpProfile: { protocol: 'http://', endpoint, agent } }
  const client = new CommonClient(endpoint, '2019-01-18', { credential: { secretId, secretKey }, region, profile })
  if (branch.id) return new TencentKmsBranchKeyring(client, region, keyIds, branch.id, { records: branch.records, byReference: branch.by_reference })
  return new TencentKmsKeyring(client, region, keyIds)
}

async function run (job) {
  const data = fs.readFileSync(job.in)
  if (job.do === 'seal') {
    const options = { encryptionContext: job.context, frameLength: job.frame_len, suiteId: job.signed ? SIGNED : UNSIGNED }
    fs.writeFileSync(job.out, (await encrypt(keyring(job.keys, job.branch), data, options)).result)
    return
  }
  const { plaintext, messageHeader } = await decrypt(keyring(job.keys, job.branch), data)
  for (const [key, value] of Object.entries(job.context)) {
    if (messageHeader.encryptionContext[key] !== value) throw new Error(`the context has no ${key}`)
  }
  fs.writeFileSync(job.out, plaintext)
}

async function main () {
  for (const job of JSON.parse(fs.readFileSync(0, 'utf8'))) {
    await run(job).catch(error => { throw new Error(`${JSON.stringify(job)}: ${error.stack}`) })
  }
}

main().catch(error => { console.error(error); process.exit(1) })
