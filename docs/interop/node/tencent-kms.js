'use strict'
// CMKs of Tencent Cloud KMS for the AWS Encryption SDK for JavaScript (@aws-crypto/client-node 5).
//
//   const keyring = new TencentKmsKeyring({ region, keyIds, secretId, secretKey })
//   const { result } = await buildClient().encrypt(keyring, plaintext, { encryptionContext, frameLength: 65536 })
//
// What this writes, libtckms opens, and the other way round. docs/sealing.md has the convention on one page.

const { createHash, createHmac } = require('crypto')
const { EncryptedDataKey, immutableClass, KeyringNode, KeyringTraceFlag, readOnlyProperty } = require('@aws-crypto/client-node')

const PROVIDER = 'tencent-kms'

class TencentKmsKeyring extends KeyringNode {
  constructor ({ region, keyIds, secretId, secretKey, token, endpoint = 'https://kms.tencentcloudapi.com' }) {
    super()
    readOnlyProperty(this, 'region', region)
    readOnlyProperty(this, 'keyIds', Object.freeze([...keyIds]))
    readOnlyProperty(this, 'access', Object.freeze({ endpoint, region, secretId, secretKey, token }))
  }

  async _onEncrypt (material) {
    for (const keyId of this.keyIds) {
      const request = { KeyId: keyId, ...contextField(material.encryptionContext) }
      const first = !material.hasUnencryptedDataKey
      const reply = first
        ? await call(this.access, 'GenerateDataKey', { ...request, NumberOfBytes: material.suite.keyLengthBytes })
        : await call(this.access, 'Encrypt', { ...request, Plaintext: base64Of(material.getUnencryptedDataKey()) })
      checkKey(reply, keyId)
      const trace = flags => ({ keyNamespace: PROVIDER, keyName: keyId, flags })
      if (first) {
        const flags = KeyringTraceFlag.WRAPPING_KEY_GENERATED_DATA_KEY
        material.setUnencryptedDataKey(new Uint8Array(Buffer.from(reply.Plaintext, 'base64')), trace(flags))
      }
      const edk = new EncryptedDataKey({
        providerId: PROVIDER,
        providerInfo: `${this.region}/${keyId}`,
        encryptedDataKey: Buffer.from(reply.CiphertextBlob, 'ascii')
      })
      material.addEncryptedDataKey(edk, KeyringTraceFlag.WRAPPING_KEY_ENCRYPTED_DATA_KEY | KeyringTraceFlag.WRAPPING_KEY_SIGNED_ENC_CTX)
    }
    return material
  }

  async _onDecrypt (material, encryptedDataKeys) {
    let failure
    for (const keyId of this.keyIds) {
      // Only CMKs that were given are ever asked, whatever a message names.
      const mine = edk => edk.providerId === PROVIDER && edk.providerInfo === `${this.region}/${keyId}`
      for (const edk of encryptedDataKeys.filter(mine)) {
        try {
          const blob = Buffer.from(edk.encryptedDataKey).toString('ascii')
          const reply = await call(this.access, 'Decrypt', { CiphertextBlob: blob, ...contextField(material.encryptionContext) })
          // Decrypt takes no key id: that the blob was made by this CMK is only told by the reply.
          checkKey(reply, keyId)
          const flags = KeyringTraceFlag.WRAPPING_KEY_DECRYPTED_DATA_KEY | KeyringTraceFlag.WRAPPING_KEY_VERIFIED_ENC_CTX
          return material.setUnencryptedDataKey(new Uint8Array(Buffer.from(reply.Plaintext, 'base64')), { keyNamespace: PROVIDER, keyName: keyId, flags })
        } catch (error) {
          failure = error
        }
      }
    }
    if (failure) throw failure
    return material
  }
}
immutableClass(TencentKmsKeyring)

function checkKey (reply, keyId) {
  if (reply.KeyId !== keyId) throw new Error(`the reply is about CMK ${reply.KeyId}, not ${keyId}`)
}

function base64Of (key) {
  return Buffer.from(key.export ? key.export() : key).toString('base64')
}

// The service may compare the context as text, so it is always written in the same way: by the UTF-8 bytes of the keys.
function contextField (context) {
  const keys = Object.keys(context).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return keys.length ? { EncryptionContext: `{${keys.map(key => `${JSON.stringify(key)}:${JSON.stringify(context[key])}`)}}` } : {}
}

// One call of the KMS API, signed with TC3-HMAC-SHA256.
async function call ({ endpoint, region, secretId, secretKey, token }, action, fields) {
  const { host } = new URL(endpoint)
  const body = JSON.stringify(fields)
  const timestamp = Math.floor(Date.now() / 1000)
  const date = new Date(timestamp * 1000).toISOString().slice(0, 10)
  const sha256 = text => createHash('sha256').update(text).digest('hex')
  const hmac = (key, text) => createHmac('sha256', key).update(text).digest()
  const canonical = `POST\n/\n\ncontent-type:application/json\nhost:${host}\n\ncontent-type;host\n${sha256(body)}`
  const scope = `${date}/kms/tc3_request`
  const key = ['kms', 'tc3_request'].reduce(hmac, hmac(`TC3${secretKey}`, date))
  const signature = createHmac('sha256', key).update(`TC3-HMAC-SHA256\n${timestamp}\n${scope}\n${sha256(canonical)}`).digest('hex')
  const headers = {
    'Content-Type': 'application/json',
    Authorization: `TC3-HMAC-SHA256 Credential=${secretId}/${scope}, SignedHeaders=content-type;host, Signature=${signature}`,
    'X-TC-Action': action,
    'X-TC-Version': '2019-01-18',
    'X-TC-Region': region,
    'X-TC-Timestamp': String(timestamp),
    ...(token ? { 'X-TC-Token': token } : {})
  }
  const { Response } = await (await fetch(endpoint, { method: 'POST', headers, body })).json()
  if (Response.Error) throw new Error(`${action}: ${Response.Error.Code}: ${Response.Error.Message}`)
  return Response
}

module.exports = { TencentKmsKeyring }
