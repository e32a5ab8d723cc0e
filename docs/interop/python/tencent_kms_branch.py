"""Branch keys under CMKs of Tencent Cloud KMS for the AWS Encryption SDK for Python.

    provider = TencentKmsBranch(client, "ap-guangzhou", ["93866e69-9755-11ef-8e65-52540089bc41"], "orders", records)
    ciphertext, header = aws_encryption_sdk.EncryptionSDKClient().encrypt(source=b"...", key_provider=provider)

`records` is the text of branch records that `tckms branch new` makes, with the branch for each CMK. Without records it
only opens, and only messages that carry their branch key along. It asks the service once for each branch key. What this
writes, libtckms opens, and the other way round. docs/sealing.md has the convention on one page.
"""

import base64
import hashlib
import hmac
import os
import uuid

import attr
from aws_encryption_sdk.exceptions import DecryptKeyError, EncryptKeyError, InvalidKeyIdError
from aws_encryption_sdk.key_providers.base import MasterKey, MasterKeyConfig, MasterKeyProvider, MasterKeyProviderConfig
from aws_encryption_sdk.structures import DataKey, EncryptedDataKey
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tencentcloud.common.exception import TencentCloudSDKException
from tencentcloud.kms.v20190118 import models

LABEL = b"tencent-kms-hierarchy"
EMBEDDED, BY_REFERENCE = 1, 2


def serialised(context):
    """The context as the header of a message has it; nothing for no pairs."""
    pairs = sorted((key.encode(), value.encode()) for key, value in context.items())
    parts = [len(pairs).to_bytes(2, "big")] if pairs else []
    return b"".join(parts + [len(text).to_bytes(2, "big") + text for pair in pairs for text in pair])


def cipher(branch_key, salt):
    """AES-GCM under the key of one data key: SP 800-108 in counter mode, one block."""
    message = b"\0\0\0\1" + LABEL + b"\0" + salt + b"\0\0\1\0"
    return AESGCM(hmac.new(branch_key, message, hashlib.sha256).digest())


def additional_data(info, head, context):
    return LABEL + len(info).to_bytes(2, "big") + info + head + serialised(context)


def wrap(branch_key, form, branch_id, version, blob, info, context, data_key, salt=None, iv=None):
    """The encrypted data key of a message."""
    salt, iv = salt or os.urandom(16), iv or os.urandom(12)
    head = bytes([form, len(branch_id)]) + branch_id + version
    sealed = cipher(branch_key, salt).encrypt(iv, data_key, additional_data(info, head, context))
    return head + salt + iv + sealed + (blob if form == EMBEDDED else b"")


def parse(wrapped):
    """Form, branch id, version, blob, and what `unwrap` needs."""
    id_end = 2 + wrapped[1]
    head, body = wrapped[: id_end + 16], wrapped[id_end + 16 :]
    if wrapped[0] not in (EMBEDDED, BY_REFERENCE) or len(body) < 76 or (len(body) > 76) != (wrapped[0] == EMBEDDED):
        raise ValueError("the wrapped key is malformed")
    return wrapped[0], head[2:id_end], head[id_end:], body[76:], (head, body[:76])


def unwrap(branch_key, info, context, parts):
    head, body = parts
    return cipher(branch_key, body[:16]).decrypt(body[16:28], body[28:], additional_data(info, head, context))


@attr.s(hash=True)
class _KeyConfig(MasterKeyConfig):
    provider_id = LABEL.decode()
    provider = attr.ib(hash=False)


class _Key(MasterKey):
    provider_id = LABEL.decode()
    _config_class = _KeyConfig

    def _generate_data_key(self, algorithm, encryption_context):
        data_key = os.urandom(algorithm.kdf_input_len)
        return DataKey(self.key_provider, data_key, self._wrap(data_key, encryption_context))

    def _encrypt_data_key(self, data_key, algorithm, encryption_context):
        return EncryptedDataKey(self.key_provider, self._wrap(data_key.data_key, encryption_context))

    def _wrap(self, data_key, encryption_context):
        settings = self.config.provider.config
        newest = None
        for (cmk, branch_id, version), (created, blob) in settings.records.items():
            if cmk == self.key_id and branch_id == settings.branch_id and (newest is None or (created, version) > newest[:2]):
                newest = (created, version, blob)
        if newest is None:
            raise EncryptKeyError(f"there is no record of branch {settings.branch_id} under {self.key_id}")
        _, version, blob = newest
        key = self.config.provider.branch_key(self.key_id, settings.branch_id, version, blob, EncryptKeyError)
        form = BY_REFERENCE if settings.by_reference else EMBEDDED
        return wrap(key, form, settings.branch_id, version, blob, self.key_id, encryption_context, data_key)

    def _decrypt_data_key(self, encrypted_data_key, algorithm, encryption_context):
        settings, wrapped = self.config.provider.config, encrypted_data_key.encrypted_data_key
        try:
            form, branch_id, version, blob, parts = parse(wrapped)
            if branch_id != settings.branch_id:
                raise DecryptKeyError(f"the message is of branch {branch_id}")
            if form == BY_REFERENCE:
                _, blob = settings.records[(self.key_id, branch_id, version)]
            key = self.config.provider.branch_key(self.key_id, branch_id, version, blob, DecryptKeyError)
            return DataKey(self.key_provider, unwrap(key, self.key_id, encryption_context, parts), wrapped)
        except (InvalidTag, KeyError, IndexError, ValueError) as error:
            raise DecryptKeyError("the wrapped key is not authentic, or its record is missing") from error


@attr.s(hash=True)
class _ProviderConfig(MasterKeyProviderConfig):
    client = attr.ib(hash=False)
    region = attr.ib()
    branch_id = attr.ib()
    records = attr.ib(hash=False)
    by_reference = attr.ib()
    keys = attr.ib(hash=False, factory=dict)


class _Provider(MasterKeyProvider):
    provider_id = LABEL.decode()
    _config_class = _ProviderConfig
    vend_masterkey_on_decrypt = False

    def _new_master_key(self, key_id):
        if not key_id.startswith(self.config.region.encode("ascii") + b"/"):
            raise InvalidKeyIdError(f"{key_id} is not in {self.config.region}")
        return _Key(key_id=key_id, provider=self)

    def branch_key(self, cmk, branch_id, version, blob, failure):
        """The branch key of a record, which the service unwraps once. A long-lived program should give it an age."""
        known = self.config.keys.get((cmk, branch_id, version, blob))
        if known is None:
            context = f'{{"tckms-branch":"{branch_id.decode("ascii")}","tckms-version":"{uuid.UUID(bytes=version)}"}}'
            request = models.DecryptRequest()
            request.CiphertextBlob, request.EncryptionContext = blob.decode("ascii"), context
            try:
                reply = self.config.client.Decrypt(request)
            except TencentCloudSDKException as error:
                raise failure(f"Decrypt: {error}") from error
            if reply.KeyId != cmk.decode("ascii").split("/", 1)[1]:
                raise failure(f"the reply is about CMK {reply.KeyId}, not {cmk}")
            known = self.config.keys[(cmk, branch_id, version, blob)] = base64.b64decode(reply.Plaintext)
        return known


def read_records(text):
    """Records by CMK, branch and version."""
    records = {}
    for line in filter(lambda line: line.strip() and not line.startswith("#"), text.splitlines()):
        form, cmk, branch_id, version, created, blob = line.split(" ")
        if form != "tbk1":
            raise ValueError(f"unknown format {form}")
        records[(cmk.encode(), branch_id.encode(), uuid.UUID(version).bytes)] = (created, blob.encode())
    return records


def TencentKmsBranch(client, region, key_ids, branch_id, records="", by_reference=False):  # noqa: N802
    """A key provider for one branch under CMKs of one region."""
    provider = _Provider(
        client=client,
        region=region,
        branch_id=branch_id.encode(),
        records=read_records(records),
        by_reference=by_reference,
    )
    for key_id in key_ids:
        provider.add_master_key(f"{region}/{key_id}")
    return provider
