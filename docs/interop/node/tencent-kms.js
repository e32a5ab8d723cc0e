'use strict'
// CMKs of Tencent Cloud KMS for the AWS Encryption SDK for JavaScript (@aws-crypto/client-node 5).
//
//   const client = new CommonClient('kms.tencentcloudapi.com', '2019-01-18', { region, credential })
//   const keyring = new TencentKmsKeyring(client, region, ['93866e69-9755-11ef-8e65-52540089bc41'])
//   const { result } = await buildClient().encrypt(keyring, plaintext, { encryptionContext, frameLength: 65536 })
//
// `client` is any client of Tencent's SDK for KMS in that region, such as CommonClient of tencentcloud-sdk-nodejs-common. The
// first of the CMKs makes the data keys. What this writes, libtckms opens, and the other way round. docs/sealing.md has the convention on one page.

const { EncryptedDataKey, immutableClass, KeyringNode, KeyringTraceFlag, readOnlyProperty } = require('@aws-crypto/client-node')

const PROVIDER = 'tencent-kms'

class TencentKmsKeyring extends KeyringNode {
  constructor (client, region, keyIds) {
    super()
    readOnlyProperty(this, 'client', client)
    readOnlyProperty(this, 'region', region)
    readOnlyProperty(this, 'keyIds', Object.freeze([...keyIds]))
  }

  async _onEncrypt (material) {
    for (const keyId of this.keyIds) {
      const edk = material.hasUnencryptedDataKey ? await this.wrap(material, keyId) : await this.generate(material, keyId)
      const flags = KeyringTraceFlag.WRAPPING_KEY_ENCRYPTED_DATA_KEY | KeyringTraceFlag.WRAPPING_KEY_SIGNED_ENC_CTX
      const providerInfo = `${this.region}/${keyId}`
      material.addEncryptedDataKey(new EncryptedDataKey({ providerId: PROVIDER, providerInfo, encryptedDataKey: edk }), flags)
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
          return await this.unwrap(material, keyId, edk.encryptedDataKey)
        } catch (error) {
          failure = error
        }
      }
    }
    if (failure) throw failure
    return material
  }

  async generate (material, keyId) {
    const reply = await this.call('GenerateDataKey', keyId, { KeyId: keyId, NumberOfBytes: material.suite.keyLengthBytes }, material)
    setDataKey(material, keyId, reply, KeyringTraceFlag.WRAPPING_KEY_GENERATED_DATA_KEY)
    return Buffer.from(reply.CiphertextBlob, 'ascii')
  }

  async wrap (material, keyId) {
    const dataKey = material.getUnencryptedDataKey()
    const plaintext = Buffer.from(dataKey.export ? dataKey.export() : dataKey).toString('base64')
    const reply = await this.call('Encrypt', keyId, { KeyId: keyId, Plaintext: plaintext }, material)
    return Buffer.from(reply.CiphertextBlob, 'ascii')
  }

  async unwrap (material, keyId, blob) {
    const reply = await this.call('Decrypt', keyId, { CiphertextBlob: Buffer.from(blob).toString('ascii') }, material)
    return setDataKey(material, keyId, reply, KeyringTraceFlag.WRAPPING_KEY_DECRYPTED_DATA_KEY | KeyringTraceFlag.WRAPPING_KEY_VERIFIED_ENC_CTX)
  }

  async call (action, keyId, fields, { encryptionContext }) {
    const reply = await this.client.request(action, { ...fields, ...contextField(encryptionContext) })
    // Decrypt takes no key id. Only the reply says that this CMK made the blob.
    if (reply.KeyId !== keyId) throw new Error(`${action}: the reply is about CMK ${reply.KeyId}, not ${keyId}`)
    return reply
  }
}
immutableClass(TencentKmsKeyring)

function setDataKey (material, keyId, reply, flags) {
  return material.setUnencryptedDataKey(new Uint8Array(Buffer.from(reply.Plaintext, 'base64')), { keyNamespace: PROVIDER, keyName: keyId, flags })
}

// The service may compare the context as text, so it is always written in the same way: by the UTF-8 bytes of the keys.
function contextField (context) {
  const keys = Object.keys(context).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return keys.length ? { EncryptionContext: `{${keys.map(key => `${JSON.stringify(key)}:${JSON.stringify(context[key])}`)}}` } : {}
}

module.exports = { TencentKmsKeyring }
