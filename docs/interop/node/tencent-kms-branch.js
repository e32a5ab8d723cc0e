'use strict'
// Branch keys under CMKs of Tencent Cloud KMS for the AWS Encryption SDK for JavaScript (@aws-crypto/client-node 5).
//
//   const keyring = new TencentKmsBranchKeyring(client, region, ['93866e69-9755-11ef-8e65-52540089bc41'], 'orders', { records })
//
// `client` is as for TencentKmsKeyring, `records` the text of branch records that `tckms branch new` makes, with the branch for
// each CMK. Without records it only opens, and only messages that carry their branch key along. It asks the service once for
// each branch key. What this writes, libtckms opens, and the other way round. docs/sealing.md has the convention on one page.

const crypto = require('crypto')
const { EncryptedDataKey, immutableClass, KeyringNode, KeyringTraceFlag, readOnlyProperty } = require('@aws-crypto/client-node')

const LABEL = 'tencent-kms-hierarchy'
const EMBEDDED = 1
const BY_REFERENCE = 2
const BODY = 16 + 12 + 32 + 16

class TencentKmsBranchKeyring extends KeyringNode {
  constructor (client, region, keyIds, branchId, { records = '', byReference = false } = {}) {
    super()
    readOnlyProperty(this, 'client', client)
    readOnlyProperty(this, 'cmks', Object.freeze(keyIds.map(keyId => `${region}/${keyId}`)))
    readOnlyProperty(this, 'branchId', branchId)
    readOnlyProperty(this, 'records', Object.freeze(readRecords(records).filter(record => record.branchId === branchId)))
    readOnlyProperty(this, 'form', byReference ? BY_REFERENCE : EMBEDDED)
    readOnlyProperty(this, 'keys', new Map())
  }

  async _onEncrypt (material) {
    if (!material.hasUnencryptedDataKey) {
      const dataKey = new Uint8Array(crypto.randomBytes(material.suite.keyLengthBytes))
      material.setUnencryptedDataKey(dataKey, { keyNamespace: LABEL, keyName: this.branchId, flags: KeyringTraceFlag.WRAPPING_KEY_GENERATED_DATA_KEY })
    }
    for (const cmk of this.cmks) {
      const newest = this.records.filter(record => record.cmk === cmk).sort((a, b) => a.created + a.version < b.created + b.version ? -1 : 1).pop()
      if (!newest) throw new Error(`there is no record of branch ${this.branchId} under ${cmk}`)
      const dataKey = material.getUnencryptedDataKey()
      const plain = Buffer.from(dataKey.export ? dataKey.export() : dataKey)
      const head = headOf(this.form, this.branchId, newest.version)
      const [salt, iv] = [crypto.randomBytes(16), crypto.randomBytes(12)]
      const cipher = crypto.createCipheriv('aes-256-gcm', derive(await this.branchKey(newest), salt), iv)
      cipher.setAAD(additionalData(cmk, head, material.encryptionContext))
      const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
      const blob = Buffer.from(this.form === EMBEDDED ? newest.blob : '', 'ascii')
      const encryptedDataKey = Buffer.concat([head, salt, iv, sealed, blob])
      const flags = KeyringTraceFlag.WRAPPING_KEY_ENCRYPTED_DATA_KEY | KeyringTraceFlag.WRAPPING_KEY_SIGNED_ENC_CTX
      material.addEncryptedDataKey(new EncryptedDataKey({ providerId: LABEL, providerInfo: cmk, encryptedDataKey }), flags)
    }
    return material
  }

  async _onDecrypt (material, encryptedDataKeys) {
    let failure
    for (const cmk of this.cmks) {
      for (const edk of encryptedDataKeys.filter(edk => edk.providerId === LABEL && edk.providerInfo === cmk)) {
        try {
          const dataKey = await this.unwrap(cmk, Buffer.from(edk.encryptedDataKey), material.encryptionContext)
          const flags = KeyringTraceFlag.WRAPPING_KEY_DECRYPTED_DATA_KEY | KeyringTraceFlag.WRAPPING_KEY_VERIFIED_ENC_CTX
          return material.setUnencryptedDataKey(new Uint8Array(dataKey), { keyNamespace: LABEL, keyName: this.branchId, flags })
        } catch (error) {
          failure = error
        }
      }
    }
    if (failure) throw failure
    return material
  }

  async unwrap (cmk, wrapped, context) {
    const idEnd = 2 + wrapped[1]
    const head = wrapped.subarray(0, idEnd + 16)
    const body = wrapped.subarray(idEnd + 16, idEnd + 16 + BODY)
    const blob = wrapped.subarray(idEnd + 16 + BODY).toString('ascii')
    const [branchId, version] = [head.subarray(2, idEnd).toString('ascii'), uuidOf(head.subarray(idEnd))]
    if (body.length !== BODY || ![EMBEDDED, BY_REFERENCE].includes(wrapped[0]) || (blob !== '') !== (wrapped[0] === EMBEDDED)) throw new Error('the wrapped key is malformed')
    if (branchId !== this.branchId) throw new Error(`the message is of branch ${branchId}`)
    const record = wrapped[0] === EMBEDDED ? { cmk, branchId, version, blob } : this.records.find(known => known.cmk === cmk && known.version === version)
    if (!record) throw new Error(`there is no record of version ${version}`)
    const decipher = crypto.createDecipheriv('aes-256-gcm', derive(await this.branchKey(record), body.subarray(0, 16)), body.subarray(16, 28))
    decipher.setAAD(additionalData(cmk, head, context))
    decipher.setAuthTag(body.subarray(60))
    return Buffer.concat([decipher.update(body.subarray(28, 60)), decipher.final()])
  }

  // A long-lived program should give what it keeps an age.
  async branchKey ({ cmk, branchId, version, blob }) {
    const name = [cmk, branchId, version, blob].join(' ')
    if (!this.keys.has(name)) {
      const reply = await this.client.request('Decrypt', { CiphertextBlob: blob, EncryptionContext: `{"tckms-branch":"${branchId}","tckms-version":"${version}"}` })
      if (`${cmk.split('/')[0]}/${reply.KeyId}` !== cmk) throw new Error(`the reply is about CMK ${reply.KeyId}, not ${cmk}`)
      this.keys.set(name, Buffer.from(reply.Plaintext, 'base64'))
    }
    return this.keys.get(name)
  }
}
immutableClass(TencentKmsBranchKeyring)

function readRecords (text) {
  return text.split(/\r?\n/).filter(line => line.trim() && !line.startsWith('#')).map(line => {
    const [format, cmk, branchId, version, created, blob] = line.split(' ')
    if (format !== 'tbk1') throw new Error(`unknown format ${format}`)
    return { cmk, branchId, version, created, blob }
  })
}

// SP 800-108 in counter mode with HMAC-SHA-256, one block.
function derive (branchKey, salt) {
  const message = Buffer.concat([Buffer.from([0, 0, 0, 1]), Buffer.from(LABEL), Buffer.from([0]), salt, Buffer.from([0, 0, 1, 0])])
  return crypto.createHmac('sha256', branchKey).update(message).digest()
}

function headOf (form, branchId, version) {
  return Buffer.concat([Buffer.from([form, branchId.length]), Buffer.from(branchId, 'ascii'), Buffer.from(version.replaceAll('-', ''), 'hex')])
}

function uuidOf (bytes) {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

function additionalData (cmk, head, context) {
  const info = Buffer.from(cmk, 'ascii')
  const pairs = Object.keys(context).map(key => [Buffer.from(key), Buffer.from(context[key])]).sort((a, b) => Buffer.compare(a[0], b[0]))
  const parts = pairs.length ? [u16(pairs.length), ...pairs.flat().flatMap(text => [u16(text.length), text])] : []
  return Buffer.concat([Buffer.from(LABEL), u16(info.length), info, head, ...parts])
}

function u16 (number) {
  return Buffer.from([number >> 8, number & 255])
}

module.exports = { TencentKmsBranchKeyring }
